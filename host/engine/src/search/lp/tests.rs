//! The solvers against each other, against exact vertex enumeration, and against what their own certificates say.

mod solvers;
