//! What both document types share: guarded reading with quick-xml, escaping on output (W:C0.10, E4).
