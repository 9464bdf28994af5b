//! Region certificates, and the JSON file in which `certus certify` hands them to `certus export`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use certus_core::artifact::{Claim, Meanings};
use serde::{Deserialize, Serialize};

use super::artifact::OwnedSpec;

/// A box of inputs on which the claim was proved.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionCertificate {
    /// Lower ends of the box, raw units, `[inputs]`.
    pub lower: Vec<f32>,
    /// Upper ends of the box, raw units, `[inputs]`.
    pub upper: Vec<f32>,
    /// What was proved.
    pub claim: Claim,
    /// Proved: the margin (the smallest row) is above this on the box; positive and finite.
    pub bound: f32,
    /// For which meanings of the network.
    pub meanings: Meanings,
    /// Bytes that [`super::region_proof::check_proof`] accepts, if kept.
    pub proof: Option<Vec<u8>>,
}

/// All certificates about one network and specification.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateFile {
    /// SHA-256 of the network as [`super::artifact::network_digest`] gives it.
    pub network: [u8; 32],
    /// The specification that the certificates speak of.
    pub spec: OwnedSpec,
    /// The certificates.
    pub certificates: Vec<RegionCertificate>,
}

/// Why a certificate file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// Not JSON of the stated shape; names line and column.
    #[error("not a certificate file: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format or version.
    #[error("format `{format}` version {version} is not `certus-certificates` version 1")]
    Format {
        /// Format found.
        format: String,
        /// Version found.
        version: u32,
    },
    /// A field of a certificate does not hold what it must.
    #[error("certificate {index}: {what}")]
    Certificate {
        /// Index of the certificate.
        index: usize,
        /// What is wrong.
        what: String,
    },
    /// The digest of the network is not 64 hexadecimal digits.
    #[error("`network_sha256` is not 64 hexadecimal digits")]
    Digest,
}

const FORMAT: &str = "certus-certificates";

/// Floats are written as the `f64` of the same value, which every JSON reader gives back exactly.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFile {
    format: String,
    version: u32,
    network_sha256: String,
    spec: JsonSpec,
    certificates: Vec<JsonCertificate>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum JsonSpec {
    ArgMax,
    ArgMin,
    Rows { coefficients: Vec<f64>, constants: Vec<f64> },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonCertificate {
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// Absent for a certificate about rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<u16>,
    bound: f64,
    meanings: Vec<JsonMeaning>,
    /// Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum JsonMeaning {
    Real,
    F32,
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// The `f32` values, if every one of them is one.
fn narrow(values: &[f64]) -> Option<Vec<f32>> {
    values.iter().map(|value| narrow_one(*value)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "checked by widening again")]
fn narrow_one(value: f64) -> Option<f32> {
    let narrowed = value as f32;
    (f64::from(narrowed).to_bits() == value.to_bits()).then_some(narrowed)
}

/// Lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl JsonCertificate {
    fn new(certificate: &RegionCertificate) -> Self {
        let mut meanings = Vec::new();
        if certificate.meanings.real() {
            meanings.push(JsonMeaning::Real);
        }
        if certificate.meanings.f32() {
            meanings.push(JsonMeaning::F32);
        }
        Self {
            lower: widen(&certificate.lower),
            upper: widen(&certificate.upper),
            class: match certificate.claim {
                Claim::Class(class) => Some(class),
                Claim::Rows => None,
            },
            bound: certificate.bound.into(),
            meanings,
            proof: certificate.proof.as_ref().map(|proof| BASE64.encode(proof)),
        }
    }

    fn certificate(&self) -> Result<RegionCertificate, &'static str> {
        let bits = self.meanings.iter().fold(0, |bits, meaning| {
            bits | match meaning {
                JsonMeaning::Real => certus_core::artifact::format::MEANING_REAL,
                JsonMeaning::F32 => certus_core::artifact::format::MEANING_F32,
            }
        });
        let proof = self.proof.as_ref().map(|text| BASE64.decode(text)).transpose();
        Ok(RegionCertificate {
            lower: narrow(&self.lower).ok_or("an element of `lower` is no f32 value")?,
            upper: narrow(&self.upper).ok_or("an element of `upper` is no f32 value")?,
            claim: self.class.map_or(Claim::Rows, Claim::Class),
            bound: narrow_one(self.bound).ok_or("`bound` is no f32 value")?,
            meanings: Meanings::from_bits(bits).ok_or("`meanings` is empty")?,
            proof: proof.map_err(|_| "`proof` is not base64")?,
        })
    }
}

impl CertificateFile {
    /// The file's text.
    pub fn to_json(&self) -> String {
        let spec = match &self.spec {
            OwnedSpec::ArgMax => JsonSpec::ArgMax,
            OwnedSpec::ArgMin => JsonSpec::ArgMin,
            OwnedSpec::Rows { coefficients, constants } => {
                JsonSpec::Rows { coefficients: widen(coefficients), constants: widen(constants) }
            }
        };
        let file = JsonFile {
            format: FORMAT.to_owned(),
            version: 1,
            network_sha256: to_hex(&self.network),
            spec,
            certificates: self.certificates.iter().map(JsonCertificate::new).collect(),
        };
        let mut text = serde_json::to_string_pretty(&file).expect("strings and finite numbers only");
        text.push('\n');
        text
    }

    /// Reads what [`Self::to_json`] writes. Whether boxes fit a network is checked when an artifact is written.
    ///
    /// # Errors
    /// [`CertificateFileError`], naming the place.
    pub fn from_json(text: &str) -> Result<Self, CertificateFileError> {
        let file: JsonFile = serde_json::from_str(text)?;
        if file.format != FORMAT || file.version != 1 {
            return Err(CertificateFileError::Format { format: file.format, version: file.version });
        }
        let spec = match file.spec {
            JsonSpec::ArgMax => OwnedSpec::ArgMax,
            JsonSpec::ArgMin => OwnedSpec::ArgMin,
            JsonSpec::Rows { coefficients, constants } => {
                let wrong = || CertificateFileError::Certificate {
                    index: 0,
                    what: "`spec` holds a value that is no f32".into(),
                };
                OwnedSpec::Rows {
                    coefficients: narrow(&coefficients).ok_or_else(wrong)?,
                    constants: narrow(&constants).ok_or_else(wrong)?,
                }
            }
        };
        let certificates = file.certificates.iter().enumerate().map(|(index, certificate)| {
            certificate
                .certificate()
                .map_err(|what| CertificateFileError::Certificate { index, what: what.to_owned() })
        });
        Ok(Self {
            network: from_hex(&file.network_sha256).ok_or(CertificateFileError::Digest)?,
            spec,
            certificates: certificates.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finite() -> impl Strategy<Value = f32> {
        prop_oneof![
            any::<f32>().prop_filter("finite", |x| x.is_finite()),
            Just(-0.0),
            Just(f32::from_bits(1))
        ]
    }

    fn certificate() -> impl Strategy<Value = RegionCertificate> {
        let ends = || prop::collection::vec(finite(), 0..4);
        let claim = prop_oneof![Just(Claim::Rows), any::<u16>().prop_map(Claim::Class)];
        let proof = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
        (ends(), ends(), claim, finite(), 1u8..4, proof).prop_map(
            |(lower, upper, claim, bound, bits, proof)| {
                let meanings = Meanings::from_bits(bits).expect("known bits");
                RegionCertificate { lower, upper, claim, bound, meanings, proof }
            },
        )
    }

    proptest! {
        #[test]
        fn json_gives_back_every_bit(
            network: [u8; 32],
            certificates in prop::collection::vec(certificate(), 0..4),
            rows in prop::option::of((prop::collection::vec(finite(), 0..4), prop::collection::vec(finite(), 0..4))),
        ) {
            let spec = match rows {
                Some((coefficients, constants)) => OwnedSpec::Rows { coefficients, constants },
                None => OwnedSpec::ArgMin,
            };
            let file = CertificateFile { network, spec, certificates };
            let back = CertificateFile::from_json(&file.to_json()).expect("reads what it wrote");
            // Debug tells −0 from 0, equality does not.
            prop_assert_eq!(format!("{back:?}"), format!("{file:?}"));
        }
    }

    #[test]
    fn what_is_no_certificate_file_is_refused_with_its_place() {
        let good = CertificateFile {
            network: [7; 32],
            spec: OwnedSpec::ArgMax,
            certificates: vec![RegionCertificate {
                lower: vec![0.5],
                upper: vec![1.5],
                claim: Claim::Class(1),
                bound: 0.25,
                meanings: Meanings::BOTH,
                proof: Some(vec![1]),
            }],
        }
        .to_json();
        let cases = [
            ("{", "", "line 2 column 10"),
            ("\"version\": 1", "\"version\": 2", "version 2 is not"),
            ("0707", "07zz", "64 hexadecimal digits"),
            ("0707", "", "64 hexadecimal digits"),
            ("0.25", "0.1", "certificate 0: `bound` is no f32 value"),
            ("0.5", "1e300", "certificate 0: an element of `lower` is no f32 value"),
            ("\"AQ==\"", "\"*\"", "certificate 0: `proof` is not base64"),
            ("\"real\"", "\"reel\"", "unknown variant `reel`"),
            ("\"bound\"", "\"bond\"", "unknown field `bond`"),
            ("\"argmax\"", "\"most\"", "unknown variant `most`"),
        ];
        for (from, to, expected) in cases {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good, "{from}");
            let found = CertificateFile::from_json(&text).expect_err(from).to_string();
            assert!(found.contains(expected), "expected `{expected}`, found `{found}`");
            assert_eq!(found.lines().count(), 1);
        }
    }
}
