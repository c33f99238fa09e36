//! Request methods. Tokens are case-sensitive (RFC 3261 §7.1); an unknown one is a value, not an
//! error.

/// A request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// RFC 6665
    Subscribe,
    /// RFC 6665
    Notify,
    /// RFC 3903
    Publish,
    /// RFC 3261 §11
    Options,
    /// RFC 3261 §10
    Register,
    /// RFC 3261 §13
    Invite,
    /// RFC 3261 §17
    Ack,
    /// RFC 3261 §15
    Bye,
    /// RFC 3261 §9
    Cancel,
    /// RFC 3428
    Message,
    /// RFC 6086
    Info,
    /// RFC 3515
    Refer,
    /// RFC 3311
    Update,
    /// RFC 3262
    Prack,
    /// An unknown token.
    Other(&'a [u8]),
}

impl<'a> Method<'a> {
    /// The method a token names.
    #[must_use]
    pub fn from_token(token: &'a [u8]) -> Self {
        match token {
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"PUBLISH" => Self::Publish,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"MESSAGE" => Self::Message,
            b"INFO" => Self::Info,
            b"REFER" => Self::Refer,
            b"UPDATE" => Self::Update,
            b"PRACK" => Self::Prack,
            other => Self::Other(other),
        }
    }

    /// The token as written on the wire.
    #[must_use]
    pub const fn token(self) -> &'a [u8] {
        match self {
            Self::Subscribe => b"SUBSCRIBE",
            Self::Notify => b"NOTIFY",
            Self::Publish => b"PUBLISH",
            Self::Options => b"OPTIONS",
            Self::Register => b"REGISTER",
            Self::Invite => b"INVITE",
            Self::Ack => b"ACK",
            Self::Bye => b"BYE",
            Self::Cancel => b"CANCEL",
            Self::Message => b"MESSAGE",
            Self::Info => b"INFO",
            Self::Refer => b"REFER",
            Self::Update => b"UPDATE",
            Self::Prack => b"PRACK",
            Self::Other(token) => token,
        }
    }
}
