//! The text form of our ids, after the TypeID specification 0.3: `<prefix>_<26 digits of Crockford base32>`.
//!
//! Written here because the published crates for it pull a random source into the Workers, which have none.

use uuid::Uuid;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The 26 digits of a UUID.
pub fn suffix(uuid: Uuid) -> String {
    let bits = uuid.as_u128();
    (0..26_u32)
        .rev()
        .map(|place| {
            let digit = (bits >> (place * 5)) & 31;
            DIGITS.get(digit as usize).map_or('0', |&byte| char::from(byte))
        })
        .collect()
}

/// Reads an id of `prefix`. Upper case, other digits, and values beyond 128 bits are refused.
pub fn parse(prefix: &str, text: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?;
    // 26 digits hold 130 bits: the first may be 7 at most.
    if digits.len() != 26 || !digits.starts_with(|first| ('0'..='7').contains(&first)) {
        return None;
    }
    digits
        .bytes()
        .try_fold(0_u128, |bits, byte| {
            let digit = DIGITS.iter().position(|&known| known == byte)?;
            Some((bits << 5) | digit as u128)
        })
        .map(Uuid::from_u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_own_examples_hold() {
        for (text, uuid) in [
            ("prefix_00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
            ("prefix_7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            ("prefix_0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"),
            ("prefix_01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"),
        ] {
            let uuid: Uuid = uuid.parse().unwrap();
            assert_eq!(parse("prefix", text), Some(uuid));
            assert_eq!(format!("prefix_{}", suffix(uuid)), text);
        }
    }
}
