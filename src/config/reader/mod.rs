//! Reads a TOML document into the types of `schema`, key by key, so that no fault hides another.
//!
//! [`keys`] declares a table. One line declares a key: its name, its kind, its default (a key
//! without one is required) and its range. That line generates the field, the reader, the list of
//! known keys for suggestions, and the error messages.
//!
//! Guarantees: every key of every table is read. A wrong value gets one complaint and is replaced, so
//! that the checks of the whole file can go on; their complaints about replaced values are dropped.

mod found;
mod kinds;
mod syntax;
mod table;

use std::ops::Range;

pub(super) use found::Found;
pub(super) use table::{Keys, absent, document, table};

use crate::config::complaint::Complainer;

/// Every table of a file by its header, with its keys: where a misplaced key belongs.
pub(super) type Tables = &'static [(&'static str, &'static [&'static str])];

/// Declares tables of the file:
/// `pub KEY: KIND;` is required, `pub KEY: KIND = DEFAULT;` and
/// `pub KEY: KIND = DEFAULT, in MIN..=MAX;` are not.
macro_rules! keys {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident in $header:literal { $($keys:tt)* }) => {
        $crate::config::reader::keys!(
            @parse [$(#[$meta])* #[derive(Clone, Debug, PartialEq)] $visibility] $name $header []
            $($keys)*);
    };
    (@parse $head:tt $name:ident $header:literal [$($done:tt)*]
        $(#[$meta:meta])* pub $key:ident: $kind:ty; $($rest:tt)*) => {
        $crate::config::reader::keys!(@parse $head $name $header [$($done)*
            { [$(#[$meta])*] $key [$kind] (|keys: &mut $crate::config::reader::Keys<'_, '_, '_>| keys.required(stringify!($key))) }
        ] $($rest)*);
    };
    (@parse $head:tt $name:ident $header:literal [$($done:tt)*]
        $(#[$meta:meta])* pub $key:ident: $kind:ty = $default:expr; $($rest:tt)*) => {
        $crate::config::reader::keys!(@parse $head $name $header [$($done)*
            { [$(#[$meta])*] $key [$kind]
              (|keys: &mut $crate::config::reader::Keys<'_, '_, '_>| keys.optional(stringify!($key), || $default)) }
        ] $($rest)*);
    };
    (@parse $head:tt $name:ident $header:literal [$($done:tt)*]
        $(#[$meta:meta])* pub $key:ident: $kind:ty = $default:expr, in $range:expr; $($rest:tt)*) => {
        $crate::config::reader::keys!(@parse $head $name $header [$($done)*
            { [$(#[$meta])*] $key [$kind]
              (|keys: &mut $crate::config::reader::Keys<'_, '_, '_>| keys.ranged(stringify!($key), || $default, $range)) }
        ] $($rest)*);
    };
    (@parse [$($head:tt)*] $name:ident $header:literal
        [$({ [$($meta:tt)*] $key:ident [$kind:ty] $read:tt })*]) => {
        $($head)* struct $name { $($($meta)* pub $key: $kind,)* }

        impl $crate::config::reader::Table for $name {
            const HEADER: &'static str = $header;
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];

            fn read(keys: &mut $crate::config::reader::Keys<'_, '_, '_>) -> Self {
                Self { $($key: $read(keys),)* }
            }
        }

        impl $crate::config::reader::Value for $name {
            const IS_TABLE: bool = true;

            fn read(
                found: &$crate::config::reader::Found<'_>,
                complainer: &mut $crate::config::complaint::Complainer<'_>,
            ) -> Option<Self> {
                $crate::config::reader::table(found, complainer)
            }
        }
    };
}

/// Declares a choice of words: `Variant = "word"`.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $crate::config::reader::Value for $name {
            fn read(
                found: &$crate::config::reader::Found<'_>,
                complainer: &mut $crate::config::complaint::Complainer<'_>,
            ) -> Option<Self> {
                match found.word(&[$($word),*], complainer)? {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub(super) use keys;
pub(super) use words;

/// A kind of value.
pub(super) trait Value: Sized {
    /// Whether it is written as a table.
    const IS_TABLE: bool = false;

    /// Reads a value. None, with a complaint, if it is of another kind.
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self>;

    /// How the found value could be written as a value of this kind.
    fn example(found: &Found<'_>) -> Option<String> {
        found.in_quotes()
    }
}

/// A kind of value that a table can be required to have.
pub(super) trait Required: Value {
    /// The substitute for a missing or wrong value. `place` is where the reader complained: complaints
    /// of the checks about that place are dropped.
    fn placeholder(place: Range<usize>) -> Self;
}

/// A table with known keys.
pub(super) trait Table: Sized {
    /// How its header is written.
    const HEADER: &'static str;
    /// Its keys.
    const KEYS: &'static [&'static str];

    /// Reads its keys.
    fn read(keys: &mut Keys<'_, '_, '_>) -> Self;
}

/// A quantity that has bounds.
pub(super) trait Quantity: PartialOrd {
    /// For a sentence: `7`, `5s`.
    fn shown(&self) -> String;

    /// As it is written in the file.
    fn written(&self) -> String {
        self.shown()
    }
}

/// A value with a quantity to compare with bounds.
pub(super) trait Bounded<Q> {
    /// The quantity, if there is one.
    fn quantity(&self) -> Option<&Q>;
}
