//! The kinds of value in TOML: texts, numbers, booleans, lists; optional values, and values with their position.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::config::complaint::Complainer;
use crate::config::reader::{Bounded, Found, Quantity, Required, Value};

impl Value for String {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        if let DeValue::String(text) = found.value() {
            return Some(text.clone().into_owned());
        }
        let example = found.in_quotes().map(|text| format!(": {text}"));
        let wants = format!("a quoted string{}", example.unwrap_or_default());
        found.wrong(&wants, complainer);
        None
    }
}

impl Value for std::path::PathBuf {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        String::read(found, complainer).map(Self::from)
    }
}

impl Value for bool {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        let DeValue::Boolean(is_true) = found.value() else {
            found.wrong("true or false, without quotes", complainer);
            return None;
        };
        Some(*is_true)
    }
}

macro_rules! whole_numbers {
    ($($kind:ty),*) => { $(
        impl Value for $kind {
            fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
                let number = match found.value() {
                    DeValue::Integer(number) => {
                        Self::from_str_radix(number.as_str(), number.radix()).ok()
                    }
                    _ => None,
                };
                if number.is_none() {
                    let all = format!("from 0 to {}", Self::MAX);
                    let bounds = found.bounds().unwrap_or(&all);
                    found.wrong(&format!("a whole number {bounds}"), complainer);
                }
                number
            }

            fn example(found: &Found<'_>) -> Option<String> {
                let text = found.in_quotes()?;
                let digits = text.trim_matches('"');
                digits.parse::<Self>().is_ok().then(|| digits.to_owned())
            }
        }

        impl Quantity for $kind {
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

whole_numbers!(u8, u16, u32, usize);

impl<Q: Quantity> Bounded<Q> for Q {
    fn quantity(&self) -> Option<&Q> {
        Some(self)
    }
}

impl<Q: Quantity> Bounded<Q> for Option<Q> {
    fn quantity(&self) -> Option<&Q> {
        self.as_ref()
    }
}

impl<Q: Quantity> Bounded<Q> for Spanned<Q> {
    fn quantity(&self) -> Option<&Q> {
        Some(self.get_ref())
    }
}

impl<T: Value> Value for Option<T> {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        T::read(found, complainer).map(Some)
    }
}

impl<T: Value> Value for Spanned<T> {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        T::read(found, complainer).map(|value| Self::new(found.place(), value))
    }

    fn example(found: &Found<'_>) -> Option<String> {
        T::example(found)
    }
}

impl<T: Value + Default> Required for Spanned<T> {
    fn placeholder(place: Range<usize>) -> Self {
        Self::new(place, T::default())
    }
}

impl<T: Value> Value for Vec<T> {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        if let DeValue::Array(items) = found.value() {
            let items = items.iter().map(|item| found.item(item));
            return Some(
                items
                    .filter_map(|item| T::read(&item, complainer))
                    .collect(),
            );
        }
        let key = found.key;
        if T::IS_TABLE && matches!(found.value(), DeValue::Table(_)) {
            let what =
                format!("{key} is in single brackets, but it is a table that may be repeated");
            complainer.misread(found.place(), what, format!("write [[{key}]]"));
        } else if T::IS_TABLE {
            found.wrong(&format!("tables with the header [[{key}]]"), complainer);
        } else {
            let example = T::example(found).map(|text| format!(": [{text}]"));
            found.wrong(
                &format!("a list{}", example.unwrap_or_default()),
                complainer,
            );
        }
        // Report what else is wrong with it, too.
        Some(T::read(found, complainer).into_iter().collect())
    }
}

impl<T: Value> Required for Vec<T> {
    fn placeholder(_: Range<usize>) -> Self {
        Self::new()
    }
}
