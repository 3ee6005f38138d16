//! The whole as a `stateright` model: which steps a state allows, and where each leads.

use crate::action::Action;
use crate::property;
use crate::recovery;
use crate::setting::Setting;
use crate::state::State;
use crate::step;
use stateright::{Model, Property};

/// The model.
#[derive(Clone, Debug)]
pub struct Takeover {
    /// What is searched.
    pub setting: Setting,
    /// Whether L1 is asked in every state, which costs a run of its own each time.
    pub recovery: bool,
    /// What must be reachable.
    pub examples: Vec<&'static str>,
}

impl Model for Takeover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.setting)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        step::all(&self.setting, state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        Some(step::apply(&self.setting, last, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(property::SEQUENCE, |_, s| !s.wire.sequence_repeated),
            Property::<Self>::always(property::IV, |_, s| !s.wire.iv_repeated),
            Property::<Self>::always(property::MESSAGE_ID, |_, s| !s.wire.forked),
        ];
        if self.recovery {
            let recovers =
                |takeover: &Self, state: &State| recovery::recovers(&takeover.setting, state);
            properties.push(Property::always(property::RECOVERS, recovers));
        }
        let examples = [
            Property::<Self>::sometimes(property::SAME_SA, |_, s| property::same_sa(s)),
            Property::<Self>::sometimes(property::RESENT, |_, s| property::resent(s)),
            Property::<Self>::sometimes(property::AND_BACK, |_, s| property::and_back(s)),
            Property::<Self>::sometimes(property::REPLACED, |_, s| property::replaced(s)),
        ];
        let asked = examples.into_iter();
        properties.extend(asked.filter(|example| self.examples.contains(&example.name)));
        properties
    }
}
