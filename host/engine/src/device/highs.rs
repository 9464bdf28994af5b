//! The C interface of HiGHS, from its shared library if one is found at run time; nothing is linked.
//!
//! Declared by hand after `highs_c_api.h` of HiGHS 1.15 (`HighsInt` is a 32-bit integer, which is asked for at load).
//! Source: Huangfu and Hall 2018 (parallelizing the dual revised simplex method); the library is MIT-licensed.

use libloading::{Library, Symbol};
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::PathBuf;

/// Where to look for the library, if not in the system's directories.
pub const PATH_VARIABLE: &str = "CERTUS_HIGHS";

/// Why the library is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HighsError {
    /// No library, or one without the functions.
    #[error("HiGHS: {0}; set CERTUS_HIGHS to the path of libhighs.so, or do without")]
    Load(String),
    /// The library calls this an error.
    #[error("HiGHS: `{0}` failed")]
    Call(&'static str),
}

/// An LP in the library's form: rows in compressed sparse rows, infinite bounds as infinities.
#[derive(Clone, Copy, Debug)]
pub struct RawLp<'a> {
    /// `[columns]`.
    pub cost: &'a [f64],
    /// `[columns]`.
    pub lower: &'a [f64],
    /// `[columns]`.
    pub upper: &'a [f64],
    /// `[rows]`.
    pub row_lower: &'a [f64],
    /// `[rows]`.
    pub row_upper: &'a [f64],
    /// `[rows]`: where each row begins.
    pub starts: &'a [c_int],
    /// Columns of the entries.
    pub columns: &'a [c_int],
    /// The entries.
    pub values: &'a [f64],
}

/// How the library ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RawOutcome {
    /// Solved: primal and row duals.
    Optimal {
        /// `[columns]`.
        primal: Vec<f64>,
        /// `[rows]`.
        duals: Vec<f64>,
    },
    /// Infeasible, with a dual ray if the library has one.
    Infeasible {
        /// `[rows]`, of either sign.
        ray: Option<Vec<f64>>,
    },
    /// Anything else; row duals as they are.
    Other {
        /// `[rows]`.
        duals: Vec<f64>,
    },
}

type Handle = *mut c_void;
type PassLp = unsafe extern "C" fn(
    Handle,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    f64,
    *const f64,
    *const f64,
    *const f64,
    *const f64,
    *const f64,
    *const c_int,
    *const c_int,
    *const f64,
) -> c_int;
type SetText = unsafe extern "C" fn(Handle, *const c_char, *const c_char) -> c_int;
type SetBool = unsafe extern "C" fn(Handle, *const c_char, c_int) -> c_int;
type SetDouble = unsafe extern "C" fn(Handle, *const c_char, f64) -> c_int;
type Status = unsafe extern "C" fn(Handle) -> c_int;
type Solution = unsafe extern "C" fn(Handle, *mut f64, *mut f64, *mut f64, *mut f64) -> c_int;
type DualRay = unsafe extern "C" fn(Handle, *mut c_int, *mut f64) -> c_int;

/// The functions used, and the library that keeps them valid.
pub struct Highs {
    create: unsafe extern "C" fn() -> Handle,
    destroy: unsafe extern "C" fn(Handle),
    set_bool: SetBool,
    set_text: SetText,
    set_double: SetDouble,
    pass: PassLp,
    run: Status,
    status: Status,
    solution: Solution,
    ray: DualRay,
    _library: Library,
}

/// A model of the library; freed when dropped.
struct Model<'a> {
    highs: &'a Highs,
    handle: Handle,
}

impl Drop for Model<'_> {
    fn drop(&mut self) {
        // SAFETY: `handle` came from `create` of the same library, which `highs` keeps loaded, and is destroyed once.
        unsafe { (self.highs.destroy)(self.handle) }
    }
}

/// `HighsModelStatus` of the interface.
const OPTIMAL: c_int = 7;
const INFEASIBLE: c_int = 8;
const UNBOUNDED_OR_INFEASIBLE: c_int = 9;
/// `kHighsStatusError`.
const ERROR: c_int = -1;
/// `kHighsMatrixFormatRowwise`, `kHighsObjSenseMinimize`.
const ROWWISE: c_int = 2;
const MINIMIZE: c_int = 1;

impl Highs {
    /// Loads the library from `CERTUS_HIGHS`, else by its usual names.
    ///
    /// # Errors
    /// [`HighsError::Load`].
    pub fn load() -> Result<Self, HighsError> {
        let named = std::env::var_os(PATH_VARIABLE).map(PathBuf::from);
        let names = match named {
            Some(path) => vec![path],
            None => {
                ["libhighs.so", "libhighs.so.1", "libhighs.dylib", "highs.dll"].map(PathBuf::from).to_vec()
            }
        };
        let mut error = None;
        for name in names {
            // SAFETY: running the initialisers of a library that the user installed or named is what loading means.
            match unsafe { Library::new(&name) } {
                Ok(library) => return Self::of(library),
                // The first name is the usual one.
                Err(e) => error = error.or_else(|| e.to_string().lines().next().map(String::from)),
            }
        }
        Err(HighsError::Load(error.unwrap_or_default()))
    }

    fn of(library: Library) -> Result<Self, HighsError> {
        macro_rules! function {
            ($name:literal) => {{
                // SAFETY: the type is the one that the interface declares for this name; the pointer is kept beside the library.
                let symbol: Result<Symbol<'_, _>, _> = unsafe { library.get(concat!($name, "\0").as_bytes()) };
                *symbol.map_err(|e| HighsError::Load(e.to_string()))?
            }};
        }
        let size: unsafe extern "C" fn() -> c_int = function!("Highs_getSizeofHighsInt");
        // SAFETY: takes nothing and returns a number.
        if unsafe { size() } != 4 {
            return Err(HighsError::Load("the library was built with 64-bit integers".into()));
        }
        Ok(Self {
            create: function!("Highs_create"),
            destroy: function!("Highs_destroy"),
            set_bool: function!("Highs_setBoolOptionValue"),
            set_text: function!("Highs_setStringOptionValue"),
            set_double: function!("Highs_setDoubleOptionValue"),
            pass: function!("Highs_passLp"),
            run: function!("Highs_run"),
            status: function!("Highs_getModelStatus"),
            solution: function!("Highs_getSolution"),
            ray: function!("Highs_getDualRay"),
            _library: library,
        })
    }

    /// Solves `lp`, in at most `seconds`.
    ///
    /// # Errors
    /// [`HighsError::Call`].
    ///
    /// # Panics
    /// If the lengths do not fit together.
    pub fn solve(&self, lp: RawLp<'_>, seconds: f64) -> Result<RawOutcome, HighsError> {
        let (n, m, entries) = (lp.cost.len(), lp.row_lower.len(), lp.columns.len());
        assert!(lp.lower.len() == n && lp.upper.len() == n && lp.row_upper.len() == m, "one box per column");
        assert!(lp.starts.len() == m && lp.values.len() == entries, "one start per row");
        let ordered = lp.starts.windows(2).all(|w| w[0] <= w[1]);
        let inside = |last: usize| lp.starts.iter().all(|s| *s >= 0 && *s as usize <= last);
        assert!(ordered && inside(entries), "rows in order");
        assert!(lp.columns.iter().all(|j| *j >= 0 && (*j as usize) < n), "columns of the program");
        // SAFETY: takes nothing and returns a new model, or null.
        let handle = unsafe { (self.create)() };
        if handle.is_null() {
            return Err(HighsError::Call("Highs_create"));
        }
        let model = Model { highs: self, handle };
        model.options(seconds)?;
        let (columns, rows, count) = (n as c_int, m as c_int, entries as c_int);
        // SAFETY: every array has the length that its count says (asserted above); the library copies them.
        let passed = unsafe {
            (self.pass)(
                model.handle,
                columns,
                rows,
                count,
                ROWWISE,
                MINIMIZE,
                0.0,
                lp.cost.as_ptr(),
                lp.lower.as_ptr(),
                lp.upper.as_ptr(),
                lp.row_lower.as_ptr(),
                lp.row_upper.as_ptr(),
                lp.starts.as_ptr(),
                lp.columns.as_ptr(),
                lp.values.as_ptr(),
            )
        };
        if passed == ERROR {
            return Err(HighsError::Call("Highs_passLp"));
        }
        // SAFETY: the model is live.
        if unsafe { (self.run)(model.handle) } == ERROR {
            return Err(HighsError::Call("Highs_run"));
        }
        model.outcome(n, m)
    }
}

impl Model<'_> {
    fn options(&self, seconds: f64) -> Result<(), HighsError> {
        let text = |s: &str| CString::new(s).expect("no zero inside");
        let set = |name: &str, value: &str| {
            let (name, value) = (text(name), text(value));
            // SAFETY: the model is live, both strings end in zero and outlive the call.
            unsafe { (self.highs.set_text)(self.handle, name.as_ptr(), value.as_ptr()) }
        };
        let (quiet, limit) = (text("output_flag"), text("time_limit"));
        // SAFETY: as above.
        let silent = unsafe { (self.highs.set_bool)(self.handle, quiet.as_ptr(), 0) };
        // SAFETY: as above.
        let limited = unsafe { (self.highs.set_double)(self.handle, limit.as_ptr(), seconds) };
        // The ray of an infeasible LP is lost where presolve finds it out.
        let all = [silent, limited, set("solver", "simplex"), set("presolve", "off")];
        if all.contains(&ERROR) { Err(HighsError::Call("Highs_setOptionValue")) } else { Ok(()) }
    }

    fn outcome(&self, n: usize, m: usize) -> Result<RawOutcome, HighsError> {
        let (mut primal, mut reduced) = (vec![0.0; n], vec![0.0; n]);
        let (mut activity, mut duals) = (vec![0.0; m], vec![0.0; m]);
        // SAFETY: the model is live.
        let status = unsafe { (self.highs.status)(self.handle) };
        if status == INFEASIBLE || status == UNBOUNDED_OR_INFEASIBLE {
            let mut has: c_int = 0;
            // SAFETY: the array has one number per row, as the interface asks.
            let got = unsafe { (self.highs.ray)(self.handle, &raw mut has, duals.as_mut_ptr()) };
            return Ok(RawOutcome::Infeasible { ray: (got != ERROR && has != 0).then_some(duals) });
        }
        // SAFETY: two arrays of columns, two of rows, as the interface asks.
        let got = unsafe {
            (self.highs.solution)(
                self.handle,
                primal.as_mut_ptr(),
                reduced.as_mut_ptr(),
                activity.as_mut_ptr(),
                duals.as_mut_ptr(),
            )
        };
        if got == ERROR {
            return Err(HighsError::Call("Highs_getSolution"));
        }
        Ok(if status == OPTIMAL {
            RawOutcome::Optimal { primal, duals }
        } else {
            RawOutcome::Other { duals }
        })
    }
}
