//! The branches of `oneOf`, of which exactly one must accept.
//!
//! An automaton can follow several branches, but it cannot demand that all others reject. So `oneOf` is read as `anyOf`
//! where it is certain that no value fits two branches. If this cannot be shown, the schema is refused.

use super::constraints::{Constraints, kind};
use super::error::{SchemaProblem, SchemaResult, refuse};
use super::read::{Alternatives, SchemaReader};

impl<'a> SchemaReader<'a> {
    /// Returns the branches without what fits two of them.
    ///
    /// # Errors
    /// If a value could fit two branches.
    pub fn exclusive(&self, branches: Vec<Alternatives<'a>>, path: &str) -> SchemaResult<Vec<Alternatives<'a>>> {
        let branches = without_shared_kinds(branches);
        for (i, left) in branches.iter().enumerate() {
            for (j, right) in branches.iter().enumerate().skip(i + 1) {
                for (left, right) in left.iter().flat_map(|left| right.iter().map(move |right| (left, right))) {
                    self.spend(left.size() + right.size(), path)?;
                    if !self.are_exclusive(left, right, path) {
                        return refuse(path, SchemaProblem::OverlappingBranches(i, j));
                    }
                }
            }
        }
        Ok(branches)
    }

    /// Returns whether no value fits both, as far as kinds, listed values and required members tell.
    fn are_exclusive(&self, left: &Constraints<'a>, right: &Constraints<'a>, path: &str) -> bool {
        let both = left.and(right);
        if both.is_empty() {
            return true;
        }
        let properties = both.by_name();
        // A member that cannot be read tells nothing here. It is reported when the object is compiled.
        both.kinds == kind::OBJECT
            && both.required.iter().any(|name| {
                let schemas = properties.get(name).copied().unwrap_or(&both.additional);
                self.alternatives_of_all(schemas, &format!("{path}/properties/{name}")).is_ok_and(|all| all.is_empty())
            })
    }
}

/// Removes the kinds of values that several branches accept without any constraint: no such value fits exactly one. For
/// example, two branches that have nothing but `properties` both accept every string.
fn without_shared_kinds(branches: Vec<Alternatives<'_>>) -> Vec<Alternatives<'_>> {
    let (mut once, mut twice) = (0, 0);
    for branch in &branches {
        let kinds = branch.iter().fold(0, |kinds, alternative| kinds | alternative.unconstrained_kinds());
        twice |= once & kinds;
        once |= kinds;
    }
    let mut rest = Vec::new();
    for branch in &branches {
        let kept = branch.iter().map(|alternative| alternative.without_kinds(twice));
        rest.push(kept.filter(|alternative| !alternative.is_empty()).collect());
    }
    rest
}
