//! lamplighter-load
mod dialog_info;
mod digest;
mod exchange;
mod message;
mod template;
fn main() {}
