//! Hot loops. `unsafe` lives here and in `engine/device`, nowhere else.
