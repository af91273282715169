//! Worker keys: `cyw_<org>_<secret>`. The organization is in the key, so the proxy finds the hub without a look-up.
//!
//! The secret is shown once and stored as a hash; comparing hashes is in constant time.

use core::fmt;

use subtle::ConstantTimeEq;

use crate::digest::sha256_hex;
use crate::id::OrgId;

/// A worker key in the clear. It prints only its organization.
#[derive(Clone, PartialEq, Eq)]
pub struct WorkerKey {
    org: OrgId,
    secret: String,
}

/// Why a text is not a worker key. The text itself is never repeated: it may be almost right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a worker key of the form cyw_<organization>_<secret>; make one in the panel under Workers")]
pub struct WorkerKeyError;

impl WorkerKey {
    /// Makes a key of 32 random bytes.
    pub fn new(org: OrgId, random: [u8; 32]) -> Self {
        Self { org, secret: hex::encode(random) }
    }

    /// Parses `cyw_<org>_<secret>`.
    pub fn parse(text: &str) -> Result<Self, WorkerKeyError> {
        let (org, secret) =
            text.strip_prefix("cyw_").and_then(|rest| rest.rsplit_once('_')).ok_or(WorkerKeyError)?;
        let org = format!("{}_{org}", OrgId::PREFIX).parse().map_err(|_| WorkerKeyError)?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if secret.len() != 64 || !secret.bytes().all(hex) {
            return Err(WorkerKeyError);
        }
        Ok(Self { org, secret: secret.to_owned() })
    }

    /// The organization that the key speaks for.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The key as text, for the one moment in which a person or a header needs it.
    pub fn reveal(&self) -> String {
        let org = self.org.to_string();
        let org = org.strip_prefix("org_").unwrap_or(&org);
        format!("cyw_{org}_{}", self.secret)
    }

    /// What is stored of a key: SHA-256 in hex. The secret has 256 random bits, so no salt is needed.
    pub fn hash(&self) -> String {
        sha256_hex(self.reveal().as_bytes())
    }
}

impl fmt::Debug for WorkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerKey({}, …)", self.org)
    }
}

/// Compares two texts in constant time for their length.
pub fn same_secret(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::new_uuid;
    use crate::time::Timestamp;

    #[test]
    fn a_key_tells_its_organization_and_hides_its_secret() {
        let org = OrgId::from_uuid(new_uuid(Timestamp::from_millis(1), [1; 10]));
        let key = WorkerKey::new(org, [9; 32]);
        assert_eq!(WorkerKey::parse(&key.reveal()), Ok(key.clone()));
        assert!(!format!("{key:?}").contains("0909"));
    }

    #[test]
    fn nasty_keys_are_refused_without_being_repeated() {
        for nasty in
            ["", "cyw_", "cyw__", "cyw_x_y", "Bearer cyw_01_00", "cyw_01h2xcejqtf2nbrexx3vqjhp41_ABC"]
        {
            let error = WorkerKey::parse(nasty).unwrap_err().to_string();
            assert!(nasty.len() < 5 || !error.contains(nasty));
        }
    }
}
