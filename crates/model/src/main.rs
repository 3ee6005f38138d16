use model::*;
fn main() {
    let a: Vec<u8> = std::env::args().skip(2).take(6).map(|x| x.parse().unwrap()).collect();
    let conf = match std::env::args().nth(1).unwrap().as_str() { "2" => Configuration::TwoNodes, "2w" => Configuration::TwoNodesAndWitness, _ => Configuration::ThreeNodesAndWitness };
    let bounds = Bounds { sequences: a[0], ids: a[1], pairs: a[2], crashes: a[3], breaks: a[4], takeovers: a[5] };
    let rec = std::env::args().nth(8).is_some_and(|x| x == "r");
    use Rule::*;
    let all = [ReserveBeforeUse, CeilingNeedsAcknowledgement, StartAtTheCeiling, EpochInIv, CommitBeforeTransmit, ResendWhatIsStored, ShrinkBeforeAlone, AloneSilentOnIke, CompareAndSwap, PromiseAfterTakeover, CountFromTheSnapshot, SetNamesIncarnations, RemovedIsDisconnected, InSyncOnly];
    let mut sets: Vec<Vec<Rule>> = vec![vec![]];
    if std::env::args().nth(9).is_some() { sets.extend(all.iter().map(|r| vec![*r])); }
    for removed in sets {
        let e = Experiment { setting: Setting { configuration: conf, bounds, removed: removed.clone() }, breaks: None, recovery: rec };
        let t = std::time::Instant::now();
        let o = e.run();
        println!("{removed:?} {} {:?} missing {:?} {:.1}s", o.states, o.breach.as_ref().map(|b| b.0), o.missing, t.elapsed().as_secs_f32());
        if let Some(b) = o.breach { for s in b.1 { println!("     {s}"); } }
    }
}
