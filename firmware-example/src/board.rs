//! What the example needs of a board: leaving it, counting instructions, measuring the stack.

use core::arch::asm;

/// Ends the run; QEMU's exit status is `code`.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}

/// Counts executed instructions under QEMU's `-icount shift=6`, exact to ±1 per difference.
pub struct Counter {
    empty: u32,
}

#[cfg(target_arch = "arm")]
mod clock {
    //! One instruction is 64 ns of virtual time; the CMSDK timer at 25 MHz counts it as 1.6 ticks.
    use core::ptr::{read_volatile, write_volatile};

    const TIMER0: *mut u32 = 0x4000_0000 as *mut u32;

    pub fn start() {
        // SAFETY: CTRL (word 0), VALUE (1) and RELOAD (2) of timer 0 of the MPS2 boards, owned by this counter.
        unsafe {
            write_volatile(TIMER0.add(2), u32::MAX);
            write_volatile(TIMER0.add(1), u32::MAX);
            write_volatile(TIMER0, 1);
        }
    }

    #[inline(always)]
    pub fn now() -> u32 {
        // SAFETY: reading VALUE (word 1) of timer 0 has no side effect.
        unsafe { read_volatile(TIMER0.add(1)) }
    }

    pub fn instructions(from: u32, to: u32) -> u32 {
        let ticks = u64::from(from.wrapping_sub(to));
        u32::try_from((ticks * 40 + 32) / 64).unwrap_or(u32::MAX)
    }
}

#[cfg(target_arch = "riscv32")]
mod clock {
    //! `minstret` under `-icount` counts 64 per instruction or 1, as the version of QEMU has it;
    //! a loop of known length tells.
    pub fn start() {}

    #[inline(always)]
    pub fn now() -> u32 {
        riscv::register::minstret::read() as u32
    }

    pub fn instructions(from: u32, to: u32) -> u32 {
        const TURNS: u32 = 1000;
        let before = now();
        // SAFETY: counts a register down.
        unsafe {
            core::arch::asm!("1: addi {n}, {n}, -1", "bnez {n}, 1b", n = inout(reg) TURNS => _, options(nomem, nostack));
        }
        let scale = now().wrapping_sub(before) / (2 * TURNS);
        to.wrapping_sub(from) / scale.max(1)
    }
}

impl Counter {
    /// Starts the board's clock and measures what reading it costs.
    pub fn new() -> Self {
        clock::start();
        let mut counter = Self { empty: 0 };
        counter.empty = counter.instructions_of(|| ());
        counter
    }

    /// Runs `work` once and returns how many instructions it took.
    #[inline(never)]
    pub fn instructions_of(&self, work: impl FnOnce()) -> u32 {
        let from = clock::now();
        work();
        let to = clock::now();
        clock::instructions(from, to).saturating_sub(self.empty)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes between the stack pointer and the first byte painted, so that the painter keeps its own frame.
const SLACK: usize = 64;
const PAINT: u32 = 0xc0de_c0de;

unsafe extern "C" {
    static mut _stack_end: u32;
}

#[inline(always)]
fn stack_pointer() -> usize {
    let sp: usize;
    // SAFETY: copies a register.
    unsafe {
        #[cfg(target_arch = "arm")]
        asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "riscv32")]
        asm!("mv {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags));
    }
    sp
}

/// Bytes of stack that `work` used below the caller's frame: fills the free stack with a pattern,
/// runs `work`, and looks for the lowest word that changed.
#[inline(never)]
pub fn stack_bytes_of(work: impl FnOnce()) -> usize {
    let bottom = &raw mut _stack_end;
    let top = stack_pointer() - SLACK;
    let words = (top - bottom as usize) / 4;
    for i in 0..words {
        // SAFETY: between the linker's stack end and the live frames nothing is stored.
        unsafe { bottom.add(i).write_volatile(PAINT) };
    }
    work();
    // SAFETY: the same words, read back.
    let clean = (0..words).take_while(|&i| unsafe { bottom.add(i).read_volatile() } == PAINT).count();
    if clean == words { 0 } else { top - bottom as usize - 4 * clean + SLACK }
}

/// Names the file and stops. The core has no panic path (`fw panicfree`); the programs' own code has,
/// and formatting a message would cost them 10 kB of flash.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    use semihosting::io::Write;
    if let Ok(mut err) = semihosting::io::stderr() {
        for part in ["panic in ", info.location().map_or("?", |at| at.file()), "\n"] {
            _ = err.write_all(part.as_bytes());
        }
    }
    exit(101)
}

#[cfg(target_arch = "arm")]
#[cortex_m_rt::exception]
unsafe fn HardFault(_: &cortex_m_rt::ExceptionFrame) -> ! {
    exit(102)
}

#[cfg(target_arch = "riscv32")]
#[unsafe(no_mangle)]
extern "C" fn ExceptionHandler() -> ! {
    exit(102)
}
