//! Sets of roles.

use super::Role;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A set of roles. In JSON it is a list of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Role>", into = "Vec<Role>")]
pub struct Roles(u16);

impl Roles {
    /// Returns whether the role is in the set.
    pub fn contains(self, role: Role) -> bool {
        self.0 & bit(role) != 0
    }

    /// Returns whether the set has no role.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Returns the set with one more role.
    #[must_use]
    pub fn with(self, role: Role) -> Self {
        Self(self.0 | bit(role))
    }

    /// Returns the roles, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |&role| self.contains(role))
    }
}

fn bit(role: Role) -> u16 {
    1 << role as u16
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::default(), Self::with)
    }
}

impl From<Vec<Role>> for Roles {
    fn from(roles: Vec<Role>) -> Self {
        roles.into_iter().collect()
    }
}

impl From<Roles> for Vec<Role> {
    fn from(roles: Roles) -> Self {
        roles.iter().collect()
    }
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 8] =
        [Role::Embedding, Role::Matrix, Role::Head, Role::Expert, Role::Router, Role::Norm, Role::Bias, Role::Sink];

    /// Returns the name of the role in settings.
    pub fn name(self) -> &'static str {
        match self {
            Role::Embedding => "embedding",
            Role::Matrix => "matrix",
            Role::Head => "head",
            Role::Expert => "expert",
            Role::Router => "router",
            Role::Norm => "norm",
            Role::Bias => "bias",
            Role::Sink => "sink",
        }
    }

    /// Returns the role with this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let known = || Role::ALL.map(Role::name).join(", ");
        let found = Role::ALL.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| Error::argument(format!("{name:?} is no kind of parameter; expected one of {}", known())))
    }
}
