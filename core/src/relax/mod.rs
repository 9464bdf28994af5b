//! Linear relaxations that are proved: lines and planes whose intercepts enclose.
//!
//! A line may have any slope `s`; what makes it sound is an intercept not above the least (not below the greatest) value of `f(x) − s x` on the
//! interval. So slopes come from the search and are not trusted, and intercepts are computed here.

pub mod device;
