//! Two things measured in turns, so that the machine's other load meets both.

use crate::Outcome;

/// Measured pairs, in the order of the rounds.
pub(crate) struct Pairs {
    ours: Vec<f64>,
    peer: Vec<f64>,
}

/// Measures ours and the peer `rounds` times, one after the other, after a first pair that does not count.
pub(crate) fn in_turns(
    rounds: usize,
    mut ours: impl FnMut() -> Outcome<f64>,
    mut peer: impl FnMut() -> Outcome<f64>,
) -> Outcome<Pairs> {
    ours()?;
    peer()?;
    let mut pairs = Pairs { ours: Vec::new(), peer: Vec::new() };
    for _ in 0..rounds {
        pairs.ours.push(ours()?);
        pairs.peer.push(peer()?);
    }
    Ok(pairs)
}

impl Pairs {
    /// Figures that were measured in turns; each peer's belongs to ours of the same round.
    pub(crate) fn new(ours: Vec<f64>, peer: Vec<f64>) -> Self {
        Pairs { ours, peer }
    }

    /// The median of ours.
    pub(crate) fn ours(&self) -> f64 {
        median(&self.ours)
    }

    /// The median of the peer's.
    pub(crate) fn peer(&self) -> f64 {
        median(&self.peer)
    }

    /// The median of each round's ours by peer.
    pub(crate) fn ratio(&self) -> f64 {
        let ratios: Vec<f64> = self.ours.iter().zip(&self.peer).map(|(ours, peer)| ours / peer).collect();
        median(&ratios)
    }
}

/// The middle value; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_the_median_of_the_rounds_ratios() {
        let mut ours = [9.0, 2.0, 4.0, 30.0].into_iter();
        let mut peer = [9.0, 1.0, 1.0, 10.0].into_iter();
        let pairs = in_turns(3, || Ok(ours.next().unwrap()), || Ok(peer.next().unwrap())).unwrap();
        assert_eq!((pairs.ours(), pairs.peer(), pairs.ratio()), (4.0, 1.0, 3.0));
    }
}
