// SPDX-License-Identifier: Apache-2.0

//! A plugin of QEMU for `cargo xtask check --only constant-time`.
//!
//! Its arguments are `out=FILE` and, as often as there are functions, `function=ADDRESS` in hexadecimal. The file has
//! eight bytes, lowest first, for each `Event`, from the first instruction of such a function to its return.
#![cfg(unix)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// QEMU's `qemu-plugin.h`: what is used here is the same in all versions of the interface.
mod qemu {
    use super::{c_char, c_int, c_uint, c_void};

    #[repr(C)]
    pub struct Block {
        _private: [u8; 0],
    }
    #[repr(C)]
    pub struct Instruction {
        _private: [u8; 0],
    }

    pub type Executed = extern "C" fn(c_uint, *mut c_void);
    pub type Accessed = extern "C" fn(c_uint, u32, u64, *mut c_void);

    /// `QEMU_PLUGIN_CB_NO_REGS`.
    pub const NO_REGISTERS: c_int = 0;
    /// `QEMU_PLUGIN_MEM_RW`.
    pub const READ_AND_WRITE: c_int = 3;

    unsafe extern "C" {
        pub fn qemu_plugin_register_vcpu_tb_trans_cb(
            id: u64,
            translated: extern "C" fn(u64, *mut Block),
        );
        pub fn qemu_plugin_register_atexit_cb(
            id: u64,
            ended: extern "C" fn(u64, *mut c_void),
            data: *mut c_void,
        );
        pub fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
        pub fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
        pub fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
        pub fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
        pub fn qemu_plugin_register_vcpu_insn_exec_cb(
            instruction: *mut Instruction,
            executed: Executed,
            flags: c_int,
            data: *mut c_void,
        );
        pub fn qemu_plugin_register_vcpu_mem_cb(
            instruction: *mut Instruction,
            accessed: Accessed,
            flags: c_int,
            which: c_int,
            data: *mut c_void,
        );
    }

    /// `qemu_info_t`, of which nothing is read.
    pub type Info = *const c_char;
}

/// `QEMU_PLUGIN_VERSION`: a QEMU refuses what is older or newer than it knows. From 9.0 on it wants 2 at least.
// SAFETY: QEMU alone has a use for this name.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = match option_env!("QEMU_PLUGIN_VERSION") {
    Some(text) => text.as_bytes()[0] as c_int - b'0' as c_int,
    None => 1,
};

/// What is written: the kind in the upper half, an address in the lower.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Event {
    /// A function begins; the address is its own.
    Begin,
    /// An instruction.
    Execute,
    /// A read or a write.
    Access,
    /// The function has returned.
    End,
}

struct Trace {
    out: Option<BufWriter<File>>,
    functions: Vec<u32>,
    /// Where the last instruction ended.
    last_end: u32,
    /// Where the function that is traced returns to.
    until: Option<u32>,
}

static TRACE: Mutex<Trace> =
    Mutex::new(Trace { out: None, functions: Vec::new(), last_end: 0, until: None });

impl Trace {
    fn put(&mut self, event: Event, address: u32) {
        let word = u64::from(event as u32) << 32 | u64::from(address);
        if let Some(out) = &mut self.out
            && let Err(error) = out.write_all(&word.to_le_bytes())
        {
            eprintln!("the trace cannot be written: {error}");
            self.out = None;
        }
    }

    fn execute(&mut self, address: u32, end: u32) {
        if self.until == Some(address) {
            self.until = None;
            self.put(Event::End, address);
        }
        if self.until.is_none() && self.functions.contains(&address) {
            // A call: the last instruction has left its own end as the place to return to.
            self.until = Some(self.last_end);
            self.put(Event::Begin, address);
        }
        self.last_end = end;
        if self.until.is_some() {
            self.put(Event::Execute, address);
        }
    }
}

fn with(act: impl FnOnce(&mut Trace)) {
    act(&mut TRACE.lock().unwrap_or_else(PoisonError::into_inner));
}

/// An instruction's address and its size, as the data of its callback.
fn packed(address: u64, size: usize) -> *mut c_void {
    ptr::without_provenance_mut((size << 32) | usize::try_from(address).unwrap_or_default())
}

#[allow(clippy::cast_possible_truncation)] // addresses of 32 bits
extern "C" fn executed(_: c_uint, data: *mut c_void) {
    let data = data.addr() as u64;
    let (address, size) = (data as u32, (data >> 32) as u32);
    with(|trace| trace.execute(address, address.wrapping_add(size)));
}

#[allow(clippy::cast_possible_truncation)] // as above
extern "C" fn accessed(_: c_uint, _: u32, address: u64, _: *mut c_void) {
    with(|trace| {
        if trace.until.is_some() {
            trace.put(Event::Access, address as u32);
        }
    });
}

extern "C" fn translated(_: u64, block: *mut qemu::Block) {
    // SAFETY: QEMU gives a block that is valid during this call.
    let count = unsafe { qemu::qemu_plugin_tb_n_insns(block) };
    for index in 0..count {
        // SAFETY: the index is below the count.
        let instruction = unsafe { qemu::qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: the instruction is the block's.
        let address = unsafe { qemu::qemu_plugin_insn_vaddr(instruction) };
        // SAFETY: as above.
        let size = unsafe { qemu::qemu_plugin_insn_size(instruction) };
        let data = packed(address, size);
        // SAFETY: as above; the callback reads no register.
        unsafe {
            qemu::qemu_plugin_register_vcpu_insn_exec_cb(
                instruction,
                executed,
                qemu::NO_REGISTERS,
                data,
            );
        }
        // SAFETY: as above.
        unsafe {
            qemu::qemu_plugin_register_vcpu_mem_cb(
                instruction,
                accessed,
                qemu::NO_REGISTERS,
                qemu::READ_AND_WRITE,
                data,
            );
        }
    }
}

extern "C" fn ended(_: u64, _: *mut c_void) {
    with(|trace| {
        if let Some(out) = &mut trace.out
            && let Err(error) = out.flush()
        {
            eprintln!("the trace cannot be written: {error}");
        }
    });
}

/// Reads the arguments.
fn configure(arguments: &[String]) -> Result<(), String> {
    let mut trace = TRACE.lock().unwrap_or_else(PoisonError::into_inner);
    for argument in arguments {
        match argument.split_once('=') {
            Some(("out", path)) => {
                let file = File::create(path).map_err(|error| format!("{path}: {error}"))?;
                trace.out = Some(BufWriter::with_capacity(1 << 20, file));
            }
            Some(("function", address)) => {
                let address = u32::from_str_radix(address, 16)
                    .map_err(|error| format!("{address}: {error}"))?;
                trace.functions.push(address);
            }
            _ => return Err(format!("{argument} is no argument of this plugin")),
        }
    }
    Ok(())
}

/// QEMU calls it when it has loaded the plugin; with another value than 0, it ends.
///
/// # Safety
/// `arguments` are so many strings that end with a zero.
// SAFETY: QEMU alone has a use for this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _: qemu::Info,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let arguments: Vec<_> = (0..usize::try_from(count).unwrap_or_default())
        .map(|index| {
            // SAFETY: there are so many.
            let argument = unsafe { arguments.add(index) };
            // SAFETY: as above.
            let argument = unsafe { *argument };
            // SAFETY: it ends with a zero.
            unsafe { CStr::from_ptr(argument) }.to_string_lossy().into_owned()
        })
        .collect();
    if let Err(error) = configure(&arguments) {
        eprintln!("{error}");
        return 1;
    }
    // SAFETY: the function is there as long as the plugin is.
    unsafe { qemu::qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    // SAFETY: as above.
    unsafe { qemu::qemu_plugin_register_atexit_cb(id, ended, ptr::null_mut()) };
    0
}
