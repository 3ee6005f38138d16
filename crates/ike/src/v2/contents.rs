//! The payloads of a message by their kinds, each at most once (RFC 7296 appendix C).

use wire::ike::{
    AuthPayload, Cert, CertReq, Delete, Identification, KePayload, Notify, NotifyType, Payload,
    PayloadType, SaPayload, TrafficSelectors, unsupported_critical,
};

use crate::error::Misbehaved;

/// What a message holds. Notifications, deletes, certificates and requests for them may come more
/// than once, the rest may not.
#[derive(Clone, Default)]
pub(crate) struct Contents<'a> {
    sa: Option<&'a SaPayload>,
    ke: Option<&'a KePayload>,
    nonce: Option<&'a [u8]>,
    id_initiator: Option<&'a Identification>,
    id_responder: Option<&'a Identification>,
    auth: Option<&'a AuthPayload>,
    certificates: Vec<&'a Cert>,
    requests: Vec<&'a CertReq>,
    ts_initiator: Option<&'a TrafficSelectors>,
    ts_responder: Option<&'a TrafficSelectors>,
    notifies: Vec<&'a Notify>,
    deletes: Vec<&'a Delete>,
}

impl<'a> Contents<'a> {
    /// Sorts the payloads.
    ///
    /// # Errors
    /// A payload is doubled, or is critical and unknown.
    pub(crate) fn of(payloads: &'a [Payload]) -> Result<Self, Misbehaved> {
        if let Some(kind) = unsupported_critical(payloads) {
            return Err(Misbehaved::CriticalPayload(kind));
        }
        let mut contents = Contents::default();
        for payload in payloads {
            let doubled = match payload {
                Payload::Sa(body) => contents.sa.replace(body).is_some(),
                Payload::Ke(body) => contents.ke.replace(body).is_some(),
                Payload::Nonce(body) => contents.nonce.replace(&body.0).is_some(),
                Payload::IdInitiator(body) => contents.id_initiator.replace(body).is_some(),
                Payload::IdResponder(body) => contents.id_responder.replace(body).is_some(),
                Payload::Auth(body) => contents.auth.replace(body).is_some(),
                Payload::TsInitiator(body) => contents.ts_initiator.replace(body).is_some(),
                Payload::TsResponder(body) => contents.ts_responder.replace(body).is_some(),
                Payload::Cert(body) => {
                    contents.certificates.push(body);
                    false
                }
                Payload::CertReq(body) => {
                    contents.requests.push(body);
                    false
                }
                Payload::Notify(body) => {
                    contents.notifies.push(body);
                    false
                }
                Payload::Delete(body) => {
                    contents.deletes.push(body);
                    false
                }
                _ => false,
            };
            if doubled {
                return Err(Misbehaved::Payload(payload.kind()));
            }
        }
        Ok(contents)
    }

    pub(crate) fn sa(&self) -> Result<&'a SaPayload, Misbehaved> {
        self.sa.ok_or(Misbehaved::Payload(PayloadType::SA))
    }

    pub(crate) fn ke(&self) -> Result<&'a KePayload, Misbehaved> {
        self.ke.ok_or(Misbehaved::Payload(PayloadType::KE))
    }

    pub(crate) fn optional_ke(&self) -> Option<&'a KePayload> {
        self.ke
    }

    pub(crate) fn nonce(&self) -> Result<&'a [u8], Misbehaved> {
        self.nonce.ok_or(Misbehaved::Payload(PayloadType::NONCE))
    }

    pub(crate) fn id_initiator(&self) -> Result<&'a Identification, Misbehaved> {
        self.id_initiator
            .ok_or(Misbehaved::Payload(PayloadType::ID_INITIATOR))
    }

    pub(crate) fn optional_id_responder(&self) -> Option<&'a Identification> {
        self.id_responder
    }

    pub(crate) fn id_responder(&self) -> Result<&'a Identification, Misbehaved> {
        self.id_responder
            .ok_or(Misbehaved::Payload(PayloadType::ID_RESPONDER))
    }

    pub(crate) fn auth(&self) -> Result<&'a AuthPayload, Misbehaved> {
        self.auth.ok_or(Misbehaved::Payload(PayloadType::AUTH))
    }

    pub(crate) fn certificates(&self) -> &[&'a Cert] {
        &self.certificates
    }

    /// What the peer asks of ours (CERTREQ).
    pub(crate) fn requests(&self) -> &[&'a CertReq] {
        &self.requests
    }

    /// The same, with another AUTH payload.
    pub(crate) fn with_auth(&self, auth: &'a AuthPayload) -> Self {
        Contents {
            auth: Some(auth),
            ..self.clone()
        }
    }

    pub(crate) fn has_auth(&self) -> bool {
        self.auth.is_some()
    }

    pub(crate) fn ts_initiator(&self) -> Result<&'a TrafficSelectors, Misbehaved> {
        self.ts_initiator
            .ok_or(Misbehaved::Payload(PayloadType::TS_INITIATOR))
    }

    pub(crate) fn ts_responder(&self) -> Result<&'a TrafficSelectors, Misbehaved> {
        self.ts_responder
            .ok_or(Misbehaved::Payload(PayloadType::TS_RESPONDER))
    }

    pub(crate) fn notifies(&self) -> &[&'a Notify] {
        &self.notifies
    }

    pub(crate) fn deletes(&self) -> &[&'a Delete] {
        &self.deletes
    }

    /// The first notification of a kind.
    pub(crate) fn notify(&self, kind: NotifyType) -> Option<&'a Notify> {
        self.notifies
            .iter()
            .copied()
            .find(|notify| notify.kind == kind)
    }

    /// The first notification of an error.
    pub(crate) fn error(&self) -> Option<&'a Notify> {
        self.notifies
            .iter()
            .copied()
            .find(|notify| notify.kind.is_error())
    }
}
