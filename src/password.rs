//! Password hashes: argon2id (RFC 9106) in the PHC string format, `$argon2id$v=19$m=...,t=...,p=...$salt$hash`,
//! for accounts that only HTTP authenticates. SIP's digest cannot use them: it needs H(user:realm:password).
//!
//! A hash is expensive by design: verify it on a thread that may be blocked. What a hash may cost is limited,
//! so that a slip in a configuration does not take all memory of the machine.

use std::fmt;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Memory that one verification may take.
const KIBIBYTES_MAX: u32 = 64 << 10;
/// Passes over the memory, and lanes.
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// What `lamplighter account hash` makes: the second recommendation of OWASP, about 20 ms.
const KIBIBYTES: u32 = 19 << 10;
const PASSES: u32 = 2;

/// Hashed and thrown away, for an account that does not exist.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8gc3VjaCBhY2NvdW50$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A hash that can be verified. It is never printed.
#[derive(Clone)]
pub struct PasswordHash(Phc);

/// Why a text is not such a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashFault {
    /// Another format, or parts are missing.
    #[error("is not an argon2id hash in the form $argon2id$v=19$m=...,t=...,p=...$salt$hash")]
    Format,
    /// More memory, passes or lanes than allowed.
    #[error("costs too much: at most m=65536 (64 MiB), t=16, p=16")]
    Cost,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

impl PasswordHash {
    /// Reads a hash.
    ///
    /// # Errors
    /// If it is not argon2id of version 19 with salt and hash, or costs too much.
    pub fn parse(text: &str) -> Result<Self, PasswordHashFault> {
        let phc = Phc::new(text).map_err(|_| PasswordHashFault::Format)?;
        let is_argon2id = phc.algorithm.as_str() == Algorithm::Argon2id.as_str();
        let is_current = phc.version == Some(Version::V0x13.into());
        if !is_argon2id || !is_current || phc.salt.is_none() || phc.hash.is_none() {
            return Err(PasswordHashFault::Format);
        }
        let cost = Params::try_from(&phc.params).map_err(|_| PasswordHashFault::Format)?;
        let is_dear = cost.m_cost() > KIBIBYTES_MAX
            || cost.t_cost() > PASSES_MAX
            || cost.p_cost() > LANES_MAX;
        match is_dear {
            true => Err(PasswordHashFault::Cost),
            false => Ok(Self(phc)),
        }
    }

    /// Hashes a password with a random salt. The text is what [`Self::parse`] reads.
    ///
    /// # Errors
    /// Why the machine cannot: no random numbers, no memory.
    pub fn make(password: &str) -> Result<String, String> {
        let params = Params::new(KIBIBYTES, PASSES, 1, None).map_err(|error| error.to_string())?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password(password.as_bytes());
        hash.map(|hash| hash.to_string())
            .map_err(|error| error.to_string())
    }

    /// Whether it is the hash of `password`. It takes tens of milliseconds and the memory that the
    /// hash names, and compares in constant time.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        let argon2 = Argon2::default();
        argon2.verify_password(password.as_bytes(), &self.0).is_ok()
    }

    /// A hash that no password has, which takes the time of one that [`Self::make`] made.
    #[must_use]
    pub const fn decoy() -> &'static str {
        DECOY
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_hash_accepts_its_password() {
        let text = PasswordHash::make("geheim").unwrap();
        assert!(
            text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{text}"
        );
        assert_ne!(text, PasswordHash::make("geheim").unwrap(), "salted");
        let hash = PasswordHash::parse(&text).unwrap();
        assert!(hash.verify("geheim"));
        assert!(!hash.verify("Geheim"));
        assert_eq!(format!("{hash:?}"), "(hidden)");
    }

    /// A test vector of the reference implementation.
    #[test]
    fn the_reference_implementation_is_understood() {
        let text =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(PasswordHash::parse(text).unwrap().verify("password"));
    }

    #[test]
    fn nothing_matches_the_decoy() {
        let decoy = PasswordHash::parse(PasswordHash::decoy()).unwrap();
        assert!(!decoy.verify("") && !decoy.verify("nobody"));
    }

    #[test]
    fn other_hashes_and_dear_ones_are_refused() {
        let salted = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        for (begin, fault) in [
            ("$argon2i$v=19$m=65536,t=2,p=1", PasswordHashFault::Format),
            ("$argon2id$m=65536,t=2,p=1", PasswordHashFault::Format),
            ("$argon2id$v=16$m=65536,t=2,p=1", PasswordHashFault::Format),
            ("$2b$10", PasswordHashFault::Format),
            ("secret", PasswordHashFault::Format),
            ("$argon2id$v=19$m=65537,t=2,p=1", PasswordHashFault::Cost),
            ("$argon2id$v=19$m=64,t=17,p=1", PasswordHashFault::Cost),
            ("$argon2id$v=19$m=1024,t=1,p=17", PasswordHashFault::Cost),
        ] {
            let text = format!("{begin}{salted}");
            assert_eq!(PasswordHash::parse(&text).unwrap_err(), fault, "{text}");
        }
        let bare = PasswordHash::parse("$argon2id$v=19$m=65536,t=2,p=1");
        assert_eq!(bare.unwrap_err(), PasswordHashFault::Format);
    }
}
