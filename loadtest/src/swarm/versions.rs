//! The version numbers of a series of documents: each must be one higher than the last.

/// The versions seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Versions {
    highest: Option<u32>,
}

/// The relation of a document's version to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Next,
    /// This many versions were skipped.
    Gap(u32),
    Again,
    Older,
    /// The first version, which is not 0.
    BadStart,
}

impl Versions {
    pub(super) fn take(&mut self, version: u32) -> Version {
        let before = self.highest;
        self.highest = Some(before.map_or(version, |before| before.max(version)));
        match before {
            None if version == 0 => Version::Next,
            None => Version::BadStart,
            Some(before) if version < before => Version::Older,
            Some(before) if version == before => Version::Again,
            Some(before) if version == before + 1 => Version::Next,
            Some(before) => Version::Gap(version - before - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_go_up_by_one_from_0() {
        let mut versions = Versions::default();
        let found = [0, 1, 1, 4, 2, 5].map(|version| versions.take(version));
        let expected = [
            Version::Next,
            Version::Next,
            Version::Again,
            Version::Gap(2),
            Version::Older,
            Version::Next,
        ];
        assert_eq!(found, expected);
        assert_eq!(Versions::default().take(3), Version::BadStart);
    }
}
