//! Every bug of the zoo is caught by the proof that it names, and no solution is.

use exercises::for_each_exercise;
use exercises::proofs::*;

/// Returns a line for each bug that another proof notices first, or none, and the number of bugs.
fn caught<E: Exercise>() -> (Vec<String>, usize) {
    for (name, proof) in E::proofs() {
        assert_eq!(proof(&E::solution()), Ok(()), "the solution of {}: {name}", E::NAME);
    }
    let mutants = E::mutants();
    assert!(!mutants.is_empty(), "{} has no bug", E::NAME);
    let mut mistakes = Vec::new();
    for Mutant { says, layer, caught_by } in &mutants {
        let first = E::proofs().into_iter().find(|(_, proof)| proof(layer).is_err()).map(|(name, _)| name);
        if first != Some(*caught_by) {
            mistakes.push(format!("{}: {says}: {first:?} notices first, not {caught_by}", E::NAME));
        }
        // The reader is told which bug it is, unless the sample does not show it.
        if same(&layer.sample(), &E::solution().sample()) && *caught_by != EDGES {
            mistakes.push(format!("{}: {says}: the sample does not differ", E::NAME));
        }
    }
    (mistakes, mutants.len())
}

#[test]
fn every_bug_is_caught_and_no_solution() {
    let (mistakes, bugs): (Vec<Vec<String>>, Vec<usize>) = for_each_exercise!(caught()).into_iter().unzip();
    assert!(mistakes.concat().is_empty(), "{:#?}", mistakes.concat());
    assert!(bugs.iter().sum::<usize>() >= 40, "{bugs:?} bugs");
}
