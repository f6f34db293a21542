use std::sync::Arc;
use std::time::Duration;
use cutover_api::engine::*;
use cutover_api::domain::{credential::*, names::*, duration::*, refs::*, spec::*, url::*};
use cutover_api::clock::Clock;
use standin::*;
#[path = "world/in_process.rs"] mod in_process;
#[derive(Debug)] struct C(jiff::Timestamp, tokio::time::Instant);
impl Clock for C { fn now(&self) -> jiff::Timestamp { self.0 + jiff::SignedDuration::try_from(self.1.elapsed()).unwrap() } }
#[derive(Debug)] struct T(String);
impl CredentialSource for T { fn read(&self) -> Result<Option<Credential>, CredentialError> { Ok(Some(Credential::Token(self.0.clone().into()))) } }
#[tokio::test(start_paused = true)]
async fn scratch() {
  for profile in Profile::ALL {
    let o = Options{profile: *Profile::ALL.iter().find(|p| **p==profile.clone()).unwrap(), ..Options::default()};
    let base = o.base;
    let g = Gitea::new(o);
    g.add_user("bot","x",false);
    let tok = g.add_token("bot", &["write:repository","write:organization","read:user"]);
    let u = Upstream::start(base);
    u.create_sample("one");
    let url = u.url("one");
    let auth = url.replace("http://","").replace("/one.git","");
    let tr = Arc::new(in_process::InProcess::default().at("gitea.test:3000", g.router()).at(&auth, u.router()));
    let cred: Arc<dyn CredentialSource> = Arc::new(T(tok));
    let client = cutover_api::gitea::Client::new(GiteaUrl::parse("http://gitea.test:3000").unwrap(), tr.clone(), cred, vec![]);
    let spec = MirrorSpec { name: MirrorName::parse("one").unwrap(), upstream: UpstreamUrl::parse(&url).unwrap(), branch: BranchName::parse("main").unwrap(), owner: OwnerName::parse("openova").unwrap(), repo: RepoName::parse("one").unwrap(), interval: GoDuration::parse("10m").unwrap(), prune: Prune::Off, visibility: Visibility::Public };
    let (e, _t) = Engine::start(Parts{ mirrors: vec![Mirror{spec: Arc::new(spec), credential: Arc::new(NoCredential)}], gitea: client, lister: cutover_api::git::Lister::new(tr), journal: cutover_api::journal::Journal::in_memory().unwrap(), clock: Arc::new(C(base.try_into().unwrap(), tokio::time::Instant::now())), policy: Policy::default(), metrics: Arc::new(cutover_api::metrics::Metrics), shutdown: Default::default() }).await.unwrap();
    for round in 0..5 {
        if round == 2 { u.commit("one","main",2); }
        if round == 3 { u.branch("one","trunk","main"); u.set_head("one","trunk"); }
        g.clear_calls(); u.clear_calls();
        let began = tokio::time::Instant::now();
        let a = e.ask(Ask{mirrors: None, requested_by: "x".into(), trigger: cutover_api::domain::run::Trigger::Api}).await.unwrap();
        let mut last = None;
        loop {
            let r = e.run(a.run.id).await.unwrap().unwrap();
            if last != Some(r.parts[0].phase) { println!("{profile:?} {round} {:?} {}", began.elapsed(), r.parts[0].phase); last = Some(r.parts[0].phase); }
            if r.status().has_ended() { println!("{:?}", r.parts[0].end.as_ref().map(|e| (e.outcome(), e.problem().cloned()))); break; }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for c in g.calls() { println!("    {} {} {}", c.method, c.path, c.status); }
        println!("    upstream {}", u.calls().iter().filter(|c| !c.user_agent.starts_with("git/")).count());
    }
  }
}
