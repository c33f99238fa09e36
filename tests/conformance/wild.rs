//! Requests as real clients sent them, and what each must be answered.
