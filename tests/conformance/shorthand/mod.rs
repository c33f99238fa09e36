//! The shorthand: sentences that stand for whole messages.
//!
//! Everything that every case repeats follows from earlier messages: which Via a response has,
//! which CSeq comes next, how an idle line is written in XML. A sentence says what happens, the
//! lines under it say what is unusual, and the harness adds the rest, to be compared octet by octet
//! like a message in long form. The additions come from the templates here, never from the server's
//! messages in the run.
//!
//! ```text
//! > 9 watches 123                     SUBSCRIBE for dialog; `for presence`, `again` (the request
//!                                     again, with the next CSeq), `on shard 1` may follow
//! > 9 refreshes 123                   SUBSCRIBE in the dialog
//! > pbx publishes 123: 123 is early   PUBLISH; `for presence`, `again` (in the same call) may follow
//! > 9 registers                       REGISTER
//! > 9 answers 200 OK                  to the last NOTIFY without a response
//! > 9 repeats SUBSCRIBE               the last one, octet by octet
//!     Expires: 0                      the value of this header, see [`message`]
//!     without Max-Forwards            this header is missing
//!
//!     octets                          after an empty line: the body in long form
//! < 200 OK to 9                       to the last request without a response
//! < 404 Not Found to 9                any status
//! < NOTIFY to 9: 123 is idle          its contents, see [`body`]
//! < NOTIFY to 9 again                 the last one, octet by octet
//! = nothing for 5s                    time passes, and no message is sent
//! ```
//!
//! `about 124` or `in c2` (the Call-ID up to its `@`) after the name of the phone selects one of
//! several subscriptions. `UPDATE_GOLDEN=1` writes new messages in this form, see [`shorten`].

pub(crate) mod body;
pub(crate) mod conversation;
pub(crate) mod message;
mod notify;
mod phone;
mod request;
mod response;
mod sentence;
pub(crate) mod shorten;
mod tests;

pub(crate) use conversation::Conversation;
pub(crate) use sentence::Sentence;
