//! Every bug of the zoo is caught by the proof that it names, and no solution is.

use exercises::proofs::*;

fn caught<L: Layer>() -> usize {
    for (name, proof) in L::proofs() {
        assert_eq!(proof(&L::solution()), Ok(()), "the solution of {}: {name}", L::NAME);
    }
    let mutants = L::mutants();
    for Mutant { says, layer, caught_by } in &mutants {
        let (_, proof) = L::proofs().into_iter().find(|(name, _)| name == caught_by).expect("a proof of that name");
        assert!(proof(layer).is_err(), "{}: {says}: {caught_by} does not notice", L::NAME);
        assert!(!same(&layer.sample(), &L::solution().sample()) || *caught_by == "holds_at_the_edges", "{says}");
    }
    mutants.len()
}

#[test]
fn every_mutant_is_caught_and_no_solution() {
    let count = caught::<Embedding>()
        + caught::<RmsNorm>()
        + caught::<Rope>()
        + caught::<Attention>()
        + caught::<Swiglu>()
        + caught::<TopK>()
        + caught::<CrossEntropy>()
        + caught::<AdamW>()
        + caught::<Mxfp4>();
    assert!(count >= 12, "{count} mutants");
}
