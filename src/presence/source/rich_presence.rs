//! Rich presence: what a PIDF document with RPID elements says (RFC 3863, RFC 4480; W:B2).

/// What a rich-presence source says (PIDF with RPID; W:B2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RichPresence {
    /// `basic` of its tuples: open iff any is. None when it says nothing.
    pub open: Option<bool>,
    /// RPID activities by their element names, in document order, without duplicates.
    pub activities: Vec<Box<str>>,
    /// The note: person notes before tuple notes (W:B2.7).
    pub note: Option<Box<str>>,
    /// A number or URI at which the user is to be had beside his SIP contacts: the `contact` of a
    /// tuple, where it is a `tel:` URI (W:D2.5, D2.6).
    pub alternative: Option<Box<str>>,
}
