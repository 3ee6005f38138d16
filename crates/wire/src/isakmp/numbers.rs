//! Attributes, their values, transforms and identities of IKEv1 (RFC 2409 appendix A, RFC 2407).

use crate::names::registry;

/// Numbers of Diffie-Hellman groups are those of IKEv2.
pub use crate::ike::numbers::{
    CURVE448, CURVE25519, ECP_256, ECP_384, ECP_521, MODP_768, MODP_1024, MODP_1536, MODP_2048,
    MODP_3072, MODP_4096, MODP_6144, MODP_8192, group_name,
};

/// The version octet of IKEv1: major 1, minor 0.
pub const ISAKMP_VERSION: u8 = 0x10;

/// The IPsec domain of interpretation (RFC 2407 section 4.2).
pub const DOI_IPSEC: u32 = 1;

/// The situation in which identities alone are compared (RFC 2407 section 4.2.1).
pub const SIT_IDENTITY_ONLY: u32 = 1;

registry! {
    /// The name of an attribute of an ISAKMP transform (RFC 2409 appendix A). 16384: names of GSS.
    oakley_attribute_name(u16) {
        OAKLEY_ENCRYPTION = 1,
        OAKLEY_HASH = 2,
        OAKLEY_AUTHENTICATION = 3,
        OAKLEY_GROUP = 4,
        OAKLEY_GROUP_TYPE = 5,
        OAKLEY_GROUP_PRIME = 6,
        OAKLEY_GROUP_GENERATOR_ONE = 7,
        OAKLEY_GROUP_GENERATOR_TWO = 8,
        OAKLEY_GROUP_CURVE_A = 9,
        OAKLEY_GROUP_CURVE_B = 10,
        OAKLEY_LIFE_TYPE = 11,
        OAKLEY_LIFE_DURATION = 12,
        OAKLEY_PRF = 13,
        OAKLEY_KEY_LENGTH = 14,
        OAKLEY_FIELD_SIZE = 15,
        OAKLEY_GROUP_ORDER = 16,
        OAKLEY_GSS_IDENTITY = 16384,
    }
}

registry! {
    /// The name of an encryption algorithm of phase 1.
    oakley_encryption_name(u16) {
        OAKLEY_DES_CBC = 1,
        OAKLEY_3DES_CBC = 5,
        OAKLEY_AES_CBC = 7,
        OAKLEY_CAMELLIA_CBC = 8,
    }
}

registry! {
    /// The name of a hash of phase 1.
    oakley_hash_name(u16) {
        OAKLEY_MD5 = 1,
        OAKLEY_SHA1 = 2,
        OAKLEY_SHA2_256 = 4,
        OAKLEY_SHA2_384 = 5,
        OAKLEY_SHA2_512 = 6,
    }
}

registry! {
    /// The name of an authentication method. 65001 is GSS for who sends a GSSAPI vendor ID, and a
    /// preshared key with XAUTH for others.
    oakley_authentication_name(u16) {
        OAKLEY_PRESHARED_KEY = 1,
        OAKLEY_DSS_SIGNATURE = 2,
        OAKLEY_RSA_SIGNATURE = 3,
        OAKLEY_RSA_ENCRYPTION = 4,
        OAKLEY_RSA_REVISED_ENCRYPTION = 5,
        OAKLEY_ECDSA_SHA256_P256 = 9,
        OAKLEY_ECDSA_SHA384_P384 = 10,
        OAKLEY_ECDSA_SHA512_P521 = 11,
        OAKLEY_GSS_KERBEROS = 65001,
        OAKLEY_XAUTH_RSA_SIGNATURE = 65005,
    }
}

registry! {
    /// The name of what a lifetime counts, in both phases.
    life_type_name(u16) {
        LIFE_SECONDS = 1,
        LIFE_KILOBYTES = 2,
    }
}

registry! {
    /// The name of an attribute of an ESP, AH or IPCOMP transform (RFC 2407 section 4.5; 11: RFC
    /// 4304).
    sa_attribute_name(u16) {
        SA_LIFE_TYPE = 1,
        SA_LIFE_DURATION = 2,
        SA_GROUP = 3,
        SA_ENCAPSULATION = 4,
        SA_AUTHENTICATION = 5,
        SA_KEY_LENGTH = 6,
        SA_KEY_ROUNDS = 7,
        SA_COMPRESS_DICTIONARY_SIZE = 8,
        SA_COMPRESS_PRIVATE_ALGORITHM = 9,
        SA_ECN_TUNNEL = 10,
        SA_EXTENDED_SEQUENCE_NUMBER = 11,
    }
}

registry! {
    /// The name of an encapsulation mode (RFC 2407 section 4.5, RFC 3947 section 5.1 and its
    /// drafts).
    encapsulation_name(u16) {
        ENCAPSULATION_TUNNEL = 1,
        ENCAPSULATION_TRANSPORT = 2,
        ENCAPSULATION_UDP_TUNNEL = 3,
        ENCAPSULATION_UDP_TRANSPORT = 4,
        ENCAPSULATION_UDP_TUNNEL_DRAFT = 61443,
        ENCAPSULATION_UDP_TRANSPORT_DRAFT = 61444,
    }
}

registry! {
    /// The name of an authentication algorithm of phase 2.
    sa_authentication_name(u16) {
        SA_HMAC_MD5 = 1,
        SA_HMAC_SHA1 = 2,
        SA_HMAC_SHA2_256 = 5,
        SA_HMAC_SHA2_384 = 6,
        SA_HMAC_SHA2_512 = 7,
        SA_AES_XCBC_MAC = 9,
    }
}

registry! {
    /// The name of an ISAKMP transform (RFC 2407 section 4.4.2).
    isakmp_transform_name(u8) {
        KEY_IKE = 1,
    }
}

registry! {
    /// The name of an ESP transform (RFC 2407 section 4.4.4, RFC 3602, RFC 3686, RFC 4106, RFC
    /// 4309, RFC 4543).
    esp_transform_name(u8) {
        ESP_DES = 2,
        ESP_3DES = 3,
        ESP_BLOWFISH = 7,
        ESP_NULL = 11,
        ESP_AES_CBC = 12,
        ESP_AES_CTR = 13,
        ESP_AES_CCM_8 = 14,
        ESP_AES_CCM_12 = 15,
        ESP_AES_CCM_16 = 16,
        ESP_AES_GCM_8 = 18,
        ESP_AES_GCM_12 = 19,
        ESP_AES_GCM_16 = 20,
        ESP_CAMELLIA_CBC = 22,
        ESP_NULL_AUTH_AES_GMAC = 23,
    }
}

registry! {
    /// The name of an AH transform (RFC 2407 section 4.4.3).
    ah_transform_name(u8) {
        AH_MD5 = 2,
        AH_SHA1 = 3,
        AH_SHA2_256 = 5,
        AH_SHA2_384 = 6,
        AH_SHA2_512 = 7,
    }
}

registry! {
    /// The name of an identification type (RFC 2407 section 4.6.2.1).
    id_type_name(u8) {
        ID_IPV4_ADDR = 1,
        ID_FQDN = 2,
        ID_USER_FQDN = 3,
        ID_IPV4_ADDR_SUBNET = 4,
        ID_IPV6_ADDR = 5,
        ID_IPV6_ADDR_SUBNET = 6,
        ID_IPV4_ADDR_RANGE = 7,
        ID_IPV6_ADDR_RANGE = 8,
        ID_DER_ASN1_DN = 9,
        ID_DER_ASN1_GN = 10,
        ID_KEY_ID = 11,
    }
}

registry! {
    /// The name of a certificate encoding (RFC 2408 section 3.9).
    cert_encoding_name(u8) {
        CERT_NONE = 0,
        CERT_PKCS7_X509 = 1,
        CERT_PGP = 2,
        CERT_DNS_SIGNED_KEY = 3,
        CERT_X509_SIGNATURE = 4,
        CERT_X509_KEY_EXCHANGE = 5,
        CERT_KERBEROS = 6,
        CERT_CRL = 7,
        CERT_ARL = 8,
        CERT_SPKI = 9,
        CERT_X509_ATTRIBUTE = 10,
    }
}
