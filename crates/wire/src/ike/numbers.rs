//! Transform, authentication, identity and certificate numbers (RFC 7296 sections 3.3 to 3.8).

use crate::ike::kinds::TransformType;
use crate::names::registry;

/// The version octet of IKEv2: major 2, minor 0.
pub const IKE_VERSION: u8 = 0x20;

/// The transform attribute type "Key Length", in bits (RFC 7296 section 3.3.5).
pub const ATTRIBUTE_KEY_LENGTH: u16 = 14;

registry! {
    /// The name of an encryption algorithm (transform type 1).
    encryption_name(u16) {
        ENCR_DES = 2,
        ENCR_3DES = 3,
        ENCR_NULL = 11,
        ENCR_AES_CBC = 12,
        ENCR_AES_CTR = 13,
        ENCR_AES_CCM_8 = 14,
        ENCR_AES_CCM_12 = 15,
        ENCR_AES_CCM_16 = 16,
        ENCR_AES_GCM_8 = 18,
        ENCR_AES_GCM_12 = 19,
        ENCR_AES_GCM_16 = 20,
        ENCR_NULL_AUTH_AES_GMAC = 21,
        ENCR_CAMELLIA_CBC = 23,
        ENCR_CHACHA20_POLY1305 = 28,
    }
}

registry! {
    /// The name of a pseudorandom function (transform type 2).
    prf_name(u16) {
        PRF_HMAC_MD5 = 1,
        PRF_HMAC_SHA1 = 2,
        PRF_AES128_XCBC = 4,
        PRF_HMAC_SHA2_256 = 5,
        PRF_HMAC_SHA2_384 = 6,
        PRF_HMAC_SHA2_512 = 7,
        PRF_AES128_CMAC = 8,
    }
}

registry! {
    /// The name of an integrity algorithm (transform type 3).
    integrity_name(u16) {
        AUTH_NONE = 0,
        AUTH_HMAC_MD5_96 = 1,
        AUTH_HMAC_SHA1_96 = 2,
        AUTH_AES_XCBC_96 = 5,
        AUTH_AES_CMAC_96 = 8,
        AUTH_AES_128_GMAC = 9,
        AUTH_AES_192_GMAC = 10,
        AUTH_AES_256_GMAC = 11,
        AUTH_HMAC_SHA2_256_128 = 12,
        AUTH_HMAC_SHA2_384_192 = 13,
        AUTH_HMAC_SHA2_512_256 = 14,
    }
}

registry! {
    /// The name of a key exchange method, a Diffie-Hellman group (transform type 4).
    group_name(u16) {
        GROUP_NONE = 0,
        MODP_768 = 1,
        MODP_1024 = 2,
        MODP_1536 = 5,
        MODP_2048 = 14,
        MODP_3072 = 15,
        MODP_4096 = 16,
        MODP_6144 = 17,
        MODP_8192 = 18,
        ECP_256 = 19,
        ECP_384 = 20,
        ECP_521 = 21,
        CURVE25519 = 31,
        CURVE448 = 32,
        ML_KEM_512 = 35,
        ML_KEM_768 = 36,
        ML_KEM_1024 = 37,
    }
}

registry! {
    /// The name of an extended sequence number choice (transform type 5).
    esn_name(u16) {
        NO_ESN = 0,
        ESN = 1,
    }
}

registry! {
    /// The name of an authentication method (RFC 7296 section 3.8, RFC 7427).
    auth_method_name(u8) {
        AUTH_METHOD_RSA_SIGNATURE = 1,
        AUTH_METHOD_SHARED_KEY = 2,
        AUTH_METHOD_DSS_SIGNATURE = 3,
        AUTH_METHOD_ECDSA_SHA256_P256 = 9,
        AUTH_METHOD_ECDSA_SHA384_P384 = 10,
        AUTH_METHOD_ECDSA_SHA512_P521 = 11,
        AUTH_METHOD_NULL = 13,
        AUTH_METHOD_DIGITAL_SIGNATURE = 14,
    }
}

registry! {
    /// The name of a hash that signatures are made over (RFC 7427 section 7, RFC 8420).
    hash_algorithm_name(u16) {
        HASH_SHA1 = 1,
        HASH_SHA2_256 = 2,
        HASH_SHA2_384 = 3,
        HASH_SHA2_512 = 4,
        HASH_IDENTITY = 5,
    }
}

registry! {
    /// The name of an identification type (RFC 7296 section 3.5).
    id_type_name(u8) {
        ID_IPV4_ADDR = 1,
        ID_FQDN = 2,
        ID_RFC822_ADDR = 3,
        ID_IPV6_ADDR = 5,
        ID_DER_ASN1_DN = 9,
        ID_DER_ASN1_GN = 10,
        ID_KEY_ID = 11,
        ID_NULL = 13,
    }
}

registry! {
    /// The name of a certificate encoding (RFC 7296 section 3.6).
    cert_encoding_name(u8) {
        CERT_PKCS7_X509 = 1,
        CERT_X509_SIGNATURE = 4,
        CERT_CRL = 7,
        CERT_HASH_URL_X509 = 12,
        CERT_HASH_URL_BUNDLE = 13,
        CERT_OCSP = 14,
        CERT_RAW_PUBLIC_KEY = 15,
    }
}

registry! {
    /// The name of a traffic selector type (RFC 7296 section 3.13.1).
    ts_type_name(u8) {
        TS_IPV4_ADDR_RANGE = 7,
        TS_IPV6_ADDR_RANGE = 8,
    }
}

/// The name of a transform's algorithm, when it has one here.
pub fn transform_name(kind: TransformType, id: u16) -> Option<&'static str> {
    match kind {
        TransformType::ENCR => encryption_name(id),
        TransformType::PRF => prf_name(id),
        TransformType::INTEG => integrity_name(id),
        kind if kind.is_key_exchange() => group_name(id),
        TransformType::ESN => esn_name(id),
        _ => None,
    }
}
