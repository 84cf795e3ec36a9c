//! libpam, as far as a password is checked with it. It is loaded when it is asked for, so that the program starts without it.
//! Numbers are those of Linux-PAM's `_pam_types.h`.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use libloading::Library;
use nix::libc;

pub const SUCCESS: c_int = 0;
pub const PERM_DENIED: c_int = 6;
pub const AUTH_ERR: c_int = 7;
pub const CRED_INSUFFICIENT: c_int = 8;
pub const USER_UNKNOWN: c_int = 10;
pub const MAXTRIES: c_int = 11;
pub const NEW_AUTHTOK_REQD: c_int = 12;
pub const ACCT_EXPIRED: c_int = 13;
const BUF_ERR: c_int = 5;
const CONV_ERR: c_int = 19;

const PROMPT_ECHO_OFF: c_int = 1;
const ERROR_MSG: c_int = 3;
const TEXT_INFO: c_int = 4;

const ITEM_USER: c_int = 2;
const ITEM_RHOST: c_int = 4;

const SILENT: c_int = 0x8000;
const DISALLOW_NULL_AUTHTOK: c_int = 1;

/// Longest conversation, in messages at once.
const MESSAGES_MAX: c_int = 32;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    unused: c_int,
}

type Converse =
    extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conv {
    converse: Converse,
    data: *mut c_void,
}

#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conv, *mut *mut Handle) -> c_int;
type Step = unsafe extern "C" fn(*mut Handle, c_int) -> c_int;
type SetItem = unsafe extern "C" fn(*mut Handle, c_int, *const c_void) -> c_int;
type GetItem = unsafe extern "C" fn(*const Handle, c_int, *mut *const c_void) -> c_int;

/// The library, with the six functions that are used.
pub struct Pam {
    start: Start,
    end: Step,
    authenticate: Step,
    account: Step,
    set_item: SetItem,
    get_item: GetItem,
    _library: Library,
}

impl Pam {
    /// None on a machine without it.
    pub fn load() -> Option<Self> {
        // SAFETY: libpam's initialisers only set up its own state, of which no other thread knows.
        let library = unsafe { Library::new("libpam.so.0") }.ok()?;
        // SAFETY: the six have had these signatures since Linux-PAM has this soname; `_library` outlives the pointers.
        unsafe {
            Some(Self {
                start: *library.get::<Start>(b"pam_start\0").ok()?,
                end: *library.get::<Step>(b"pam_end\0").ok()?,
                authenticate: *library.get::<Step>(b"pam_authenticate\0").ok()?,
                account: *library.get::<Step>(b"pam_acct_mgmt\0").ok()?,
                set_item: *library.get::<SetItem>(b"pam_set_item\0").ok()?,
                get_item: *library.get::<GetItem>(b"pam_get_item\0").ok()?,
                _library: library,
            })
        }
    }

    /// Begins to ask about one person.
    pub fn start<'p>(
        &'p self,
        service: &str,
        user: &str,
        conversation: &'p Conversation,
    ) -> Option<Transaction<'p>> {
        let service = CString::new(service).ok()?;
        let user = CString::new(user).ok()?;
        let conv = Conv {
            converse,
            data: ptr::from_ref(conversation).cast_mut().cast(),
        };
        let mut handle = ptr::null_mut();
        // SAFETY: all pointers are good for the call; PAM copies texts and `conv`, and `conversation` outlives the handle.
        let status = unsafe {
            (self.start)(
                service.as_ptr(),
                user.as_ptr(),
                &raw const conv,
                &raw mut handle,
            )
        };
        (status == SUCCESS && !handle.is_null()).then_some(Transaction {
            pam: self,
            handle,
            last: SUCCESS,
        })
    }
}

/// One question, which ends when it is dropped.
pub struct Transaction<'p> {
    pam: &'p Pam,
    handle: *mut Handle,
    last: c_int,
}

impl Transaction<'_> {
    /// Says where the password comes from; modules log and count by it.
    pub fn comes_from(&mut self, from: &str) -> bool {
        let Ok(from) = CString::new(from) else {
            return false;
        };
        // SAFETY: the handle is live, and PAM copies the text.
        let status = unsafe { (self.pam.set_item)(self.handle, ITEM_RHOST, from.as_ptr().cast()) };
        status == SUCCESS
    }

    /// Whether it is the password.
    pub fn authenticate(&mut self) -> c_int {
        let flags = SILENT | DISALLOW_NULL_AUTHTOK;
        // SAFETY: the handle is live.
        self.last = unsafe { (self.pam.authenticate)(self.handle, flags) };
        self.last
    }

    /// Whether the account may be used.
    pub fn account(&mut self) -> c_int {
        let flags = SILENT | DISALLOW_NULL_AUTHTOK;
        // SAFETY: the handle is live.
        self.last = unsafe { (self.pam.account)(self.handle, flags) };
        self.last
    }

    /// Who it is about by now.
    pub fn user(&self) -> Option<String> {
        let mut item = ptr::null();
        // SAFETY: the handle is live; PAM gives a pointer that it keeps.
        let status = unsafe { (self.pam.get_item)(self.handle, ITEM_USER, &raw mut item) };
        if status != SUCCESS || item.is_null() {
            return None;
        }
        // SAFETY: the item of a user is a text that ends with NUL, and lives until the handle changes.
        let text = unsafe { CStr::from_ptr(item.cast()) };
        text.to_str().ok().map(str::to_owned)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and not used afterwards.
        unsafe { (self.pam.end)(self.handle, self.last) };
    }
}

/// What is answered to the modules: the password, once.
pub struct Conversation {
    password: RefCell<Option<CString>>,
}

impl Conversation {
    pub fn new(password: &str) -> Self {
        Self {
            password: RefCell::new(CString::new(password).ok()),
        }
    }

    /// None if it asks for what is not to be had: a second secret, a name, a code.
    fn answer(&self, style: c_int) -> Option<*mut c_char> {
        match style {
            PROMPT_ECHO_OFF => {
                let password = self.password.borrow_mut().take()?;
                // SAFETY: it is a text that ends with NUL; PAM frees the copy.
                let copy = unsafe { libc::strdup(password.as_ptr()) };
                Some(copy).filter(|copy| !copy.is_null())
            }
            ERROR_MSG | TEXT_INFO => Some(ptr::null_mut()),
            _ => None,
        }
    }
}

/// Called by modules with what they want to know.
extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    if !(1..=MESSAGES_MAX).contains(&count) || messages.is_null() || responses.is_null() {
        return CONV_ERR;
    }
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: it is the conversation that the transaction was started with, and outlives it.
    let conversation = unsafe { &*data.cast::<Conversation>() };
    // SAFETY: plain memory, which PAM frees.
    let given: *mut Response = unsafe { libc::calloc(count, size_of::<Response>()) }.cast();
    if given.is_null() {
        return BUF_ERR;
    }
    for number in 0..count {
        // SAFETY: Linux-PAM gives as many pointers to messages as it says.
        let style = unsafe { (**messages.add(number)).style };
        let Some(text) = conversation.answer(style) else {
            // SAFETY: what was made above; texts among it are null or copies of ours.
            unsafe {
                for before in 0..number {
                    libc::free((*given.add(before)).text.cast());
                }
                libc::free(given.cast());
            }
            return CONV_ERR;
        };
        // SAFETY: within what was allocated.
        unsafe { (*given.add(number)).text = text };
    }
    // SAFETY: PAM gave the place for it.
    unsafe { *responses = given };
    SUCCESS
}
