//! Rich presence: the content of a PIDF document with RPID elements (RFC 3863, RFC 4480).

/// The statement of one rich-presence source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RichPresence {
    /// `basic` of its tuples: open if any tuple is open. None if no tuple has one.
    pub open: Option<bool>,
    /// RPID activities by their element names, in document order, without duplicates.
    pub activities: Vec<Box<str>>,
    /// The note: person notes before tuple notes (RFC 4479).
    pub note: Option<Box<str>>,
    /// A number or URI that reaches the user besides the SIP contacts: the `contact` of a tuple, if it
    /// is a `tel:` URI (W:D2.5, D2.6).
    pub alternative: Option<Box<str>>,
}
