//! The form with which a vcluster is made.

use std::collections::BTreeSet;

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Response};
use docklet_control::Command;
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::model::{GpuWish, KbitPerS, OnLost, Rules, Spread, Wishes};
use docklet_control::name::Name;
use docklet_control::snapshot::command::SnapshotCommand;
use docklet_control::view::{ImageView, image};
use maud::{Markup, html};
use serde::Deserialize;

use super::see;
use crate::api::snapshot::Named;
use crate::api::vcluster::of_snapshot;
use crate::asker::{Asker, propose};
use crate::pages::{Page, by_command, check_csrf, csrf, sentence};
use crate::problem::Problem;
use crate::serve::Portal;

/// What the form begins with.
#[derive(Deserialize)]
pub(crate) struct Asked {
    /// A snapshot, as `lab/host-0@friday`.
    #[serde(default)]
    from: String,
}

pub(crate) async fn show(
    asker: Asker,
    Query(Asked { from }): Query<Asked>,
) -> Result<Markup, Problem> {
    let mut form = NewVcluster::default();
    if !from.is_empty() {
        form.begin_with(&asker, from)?;
    }
    Ok(form_page(&asker, &form, None))
}

/// The form's fields, as text: what does not fit comes back as it was typed.
#[derive(Deserialize)]
pub(crate) struct NewVcluster {
    csrf: String,
    name: String,
    /// Empty if it is made of a snapshot.
    #[serde(default)]
    image: String,
    /// The snapshot with which the first vnode begins; empty if there is none.
    #[serde(default)]
    from: String,
    vnodes: String,
    cpu_milli: String,
    memory_mib: String,
    pids_max: String,
    /// What is empty or not in the form is the usual.
    #[serde(default)]
    disk_mib: String,
    #[serde(default)]
    bandwidth_mbit: String,
    #[serde(default)]
    gpus: String,
    #[serde(default)]
    gpu_model: String,
    #[serde(default)]
    spread: Spread,
    #[serde(default)]
    on_lost: OnLost,
    #[serde(default)]
    per_worker_max: String,
    /// As `zone=a disk=ssd`.
    #[serde(default)]
    labels: String,
    prefers: String,
}

/// What stands in a field; none if it is empty.
fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn label(text: &str) -> Result<(Name, String), Problem> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        Problem::malformed("label", format!("{text:?} is not of the form key=value"))
    })?;
    Ok((Name::parse("label", key)?, value.to_owned()))
}

impl Default for NewVcluster {
    fn default() -> Self {
        let size = VnodeSize::default();
        Self {
            csrf: String::new(),
            name: String::new(),
            image: String::new(),
            from: String::new(),
            vnodes: "2".to_owned(),
            cpu_milli: size.cpu_milli.0.to_string(),
            memory_mib: size.memory_mib.0.to_string(),
            pids_max: size.pids_max.to_string(),
            disk_mib: VnodeSize::DISK.0.to_string(),
            bandwidth_mbit: String::new(),
            gpus: "0".to_owned(),
            gpu_model: String::new(),
            spread: Spread::default(),
            on_lost: OnLost::default(),
            per_worker_max: String::new(),
            labels: String::new(),
            prefers: String::new(),
        }
    }
}

impl NewVcluster {
    /// As its vnode is now, and alone.
    fn begin_with(&mut self, asker: &Asker, from: String) -> Result<(), Problem> {
        let named: Named = from.parse()?;
        let vnode = named.vnode(asker)?;
        self.vnodes = "1".to_owned();
        self.cpu_milli = vnode.size.cpu_milli.0.to_string();
        self.memory_mib = vnode.size.memory_mib.0.to_string();
        self.pids_max = vnode.size.pids_max.to_string();
        let disk = asker.frozen.state.wishes_of(vnode.id).disk_mib;
        self.disk_mib = disk.0.to_string();
        self.from = from;
        Ok(())
    }

    fn command(&self, asker: &Asker) -> Result<Command, Problem> {
        let number = |what: &str, text: &str| {
            text.trim()
                .parse()
                .map_err(|error| Problem::malformed(what, error))
        };
        let size = VnodeSize {
            cpu_milli: CpuMilli(number("CPU", &self.cpu_milli)?),
            memory_mib: MemoryMib(number("memory", &self.memory_mib)?),
            pids_max: number("process limit", &self.pids_max)?,
        };
        let (name, image) = (self.name.clone(), self.image.clone());
        let vnodes = number("number of vnodes", &self.vnodes)?;
        let (wishes, bandwidth) = (self.wishes()?, self.bandwidth()?);
        let rules = self.rules()?;
        if self.from.is_empty() {
            return Ok(Command::create_vcluster(docklet_control::NewVcluster {
                name,
                image,
                vnodes,
                size,
                wishes,
                bandwidth,
                rules,
            }));
        }
        if bandwidth.is_some() {
            return Err(of_snapshot());
        }
        let from: Named = self.from.parse()?;
        Ok(Command::Snapshot(SnapshotCommand::CreateVcluster {
            name,
            vnode: from.vnode(asker)?.id,
            snapshot: from.snapshot,
            vnodes,
            size,
            disk_mib: Some(wishes.disk_mib),
            gpus: wishes.gpus,
            rules,
        }))
    }

    /// The site's setting if empty.
    fn bandwidth(&self) -> Result<Option<KbitPerS>, Problem> {
        let mbit = given(&self.bandwidth_mbit)
            .map(str::parse::<u32>)
            .transpose();
        let mbit = mbit.map_err(|error| Problem::malformed("bandwidth", error))?;
        Ok(mbit.map(|mbit| KbitPerS(mbit.saturating_mul(1_000))))
    }

    fn rules(&self) -> Result<Rules, Problem> {
        let most = given(&self.per_worker_max).map(str::parse).transpose();
        let labels = |text: &str| text.split_whitespace().map(label).collect::<Result<_, _>>();
        Ok(Rules {
            spread: self.spread,
            on_lost: self.on_lost,
            per_worker_max: most
                .map_err(|error| Problem::malformed("vnodes on one worker", error))?,
            labels: labels(&self.labels)?,
            prefers: labels(&self.prefers)?,
        })
    }

    fn wishes(&self) -> Result<Wishes, Problem> {
        let mut wishes = Wishes::default();
        if let Some(disk) = given(&self.disk_mib) {
            let disk = disk.parse();
            wishes.disk_mib = DiskMib(disk.map_err(|error| Problem::malformed("disk", error))?);
        }
        if let Some(count) = given(&self.gpus) {
            let count = count.parse();
            wishes.gpus.count = count.map_err(|error| Problem::malformed("GPUs", error))?;
        }
        // A kind stands in the form whether any are wanted or not.
        wishes.gpus.model = given(&self.gpu_model)
            .filter(|_| wishes.gpus.count > 0)
            .map(str::to_owned);
        Ok(wishes)
    }
}

/// Kinds of GPUs that some worker has.
fn gpu_models(state: &docklet_control::State) -> BTreeSet<&str> {
    let workers = state.workers.values();
    let gpus = workers.flat_map(|worker| &worker.facts.capacity.gpus);
    gpus.map(|gpu| gpu.model.as_str()).collect()
}

fn form_page(asker: &Asker, form: &NewVcluster, problem: Option<&Problem>) -> Markup {
    let images = image::list(&asker.frozen.state, &asker.user);
    let body = html! {
        p.crumbs { a href="/vclusters" { "Vclusters" } " / new" }
        h1 { "Create a vcluster" }
        @if let Some(problem) = problem {
            p.notice.refused role="alert" { (sentence(&problem.detail)) }
        }
        @if images.is_empty() && form.from.is_empty() {
            p.notice { "There is no image yet. An admin makes one with " code { "docklet image build busybox" } "." }
        }
        form.stack method="post" action="/vclusters" {
            (csrf(asker))
            label for="name" { "Name" }
            input #name name="name" value=(form.name) required maxlength="40" autocomplete="off" autofocus aria-describedby="name-hint";
            p.hint #name-hint { "1 to 40 of a-z, 0-9 and -, starting with a letter." }
            @if form.from.is_empty() {
                fieldset.choices {
                    legend { "Image" }
                    @for (number, image) in images.iter().enumerate() { (image_choice(image, form, number == 0)) }
                }
            } @else {
                input type="hidden" name="from" value=(form.from);
                p.notice #from { "The disk of host-0 begins as a copy of " b { (form.from) } ", on the worker that has it, and all vnodes have the image of that vnode." }
            }
            div.row {
                div.field {
                    label for="vnodes" { "Vnodes" }
                    input #vnodes name="vnodes" type="number" min="1" max="1000" value=(form.vnodes) required;
                    p.hint { "Hosts: host-0, host-1, …" }
                }
            }
            fieldset {
                legend { "Limits of each vnode" }
                div.row.two {
                    div.field {
                        label for="cpu" { "CPU" }
                        input #cpu name="cpu_milli" type="number" min="10" max="256000" value=(form.cpu_milli) required aria-describedby="cpu-hint";
                        p.hint #cpu-hint { "Thousandths of a core: 1000 is a whole one." }
                    }
                    div.field {
                        label for="memory" { "Memory" }
                        input #memory name="memory_mib" type="number" min="4" max="4194304" value=(form.memory_mib) required aria-describedby="memory-hint";
                        p.hint #memory-hint { "MiB: 1024 is a GiB." }
                    }
                    div.field {
                        label for="pids" { "Processes" }
                        input #pids name="pids_max" type="number" min="8" max="1000000" value=(form.pids_max) required aria-describedby="pids-hint";
                        p.hint #pids-hint { "Threads count too." }
                    }
                    div.field {
                        label for="disk" { "Disk" }
                        input #disk name="disk_mib" type="number" min="64" max="8388608" value=(form.disk_mib) required aria-describedby="disk-hint";
                        p.hint #disk-hint { "MiB: 10240 is 10 GiB. It may grow later, and never shrinks." }
                    }
                    div.field {
                        label for="bandwidth" { "Bandwidth" }
                        input #bandwidth name="bandwidth_mbit" type="number" min="1" max="400000" value=(form.bandwidth_mbit) placeholder="as the site" aria-describedby="bandwidth-hint";
                        p.hint #bandwidth-hint { "Mbit/s each way; empty: the site's setting." }
                    }
                }
            }
            (gpu_fields(&gpu_models(&asker.frozen.state), form))
            (rule_fields(form))
            div.actions { button.button type="submit" { "Create" } " " a href="/vclusters" { "Cancel" } }
            @if form.from.is_empty() {
                (by_command("docklet vc create NAME --image IMAGE --vnodes N --wait"))
            } @else {
                (by_command(&format!("docklet vc create NAME --from {} --wait", form.from)))
            }
        }
    };
    Page {
        title: "Create a vcluster",
        asker,
        live: None,
        script: None,
    }
    .render(body)
}

/// Where its vnodes shall be; folded away, since most do not mind.
fn rule_fields(form: &NewVcluster) -> Markup {
    let given = form.spread != Spread::default()
        || form.on_lost != OnLost::default()
        || !form.per_worker_max.is_empty()
        || !form.labels.is_empty()
        || !form.prefers.is_empty();
    let spreads = [
        (Spread::Workers, "few on each worker"),
        (Spread::Zones, "few in each zone"),
        (Spread::Together, "many on one worker"),
    ];
    html! {
        details #rules open[given] {
            summary { "Where they shall be" }
            div.row.two {
                div.field {
                    label for="spread" { "Spread" }
                    select #spread name="spread" aria-describedby="spread-hint" {
                        @for (spread, text) in spreads {
                            option value=(spread.word()) selected[form.spread == spread] { (text) }
                        }
                    }
                    p.hint #spread-hint { "A wish: room comes first." }
                }
                div.field {
                    label for="per-worker" { "At most on one worker" }
                    input #per-worker name="per_worker_max" type="number" min="1" max="1000" value=(form.per_worker_max) placeholder="as many as fit" aria-describedby="per-worker-hint";
                    p.hint #per-worker-hint { "Those for which there is no worker wait." }
                }
                div.field {
                    label for="on-lost" { "If its worker is lost" }
                    select #on-lost name="on_lost" aria-describedby="on-lost-hint" {
                        @for (on_lost, text) in [(OnLost::Wait, "it waits for it"), (OnLost::Restart, "it begins anew on another")] {
                            option value=(on_lost.word()) selected[form.on_lost == on_lost] { (text) }
                        }
                    }
                    p.hint #on-lost-hint { "What begins anew has a new disk. The shared home stays." }
                }
                div.field {
                    label for="labels" { "Labels of workers" }
                    input #labels name="labels" value=(form.labels) placeholder="zone=a disk=ssd" autocomplete="off" aria-describedby="labels-hint";
                    p.hint #labels-hint { "What each worker must be labelled, with blanks between." }
                }
                div.field {
                    label for="prefers" { "Preferred labels" }
                    input #prefers name="prefers" value=(form.prefers) placeholder="disk=ssd" autocomplete="off" aria-describedby="prefers-hint";
                    p.hint #prefers-hint { "Workers that have them come first, while they have room." }
                }
            }
        }
    }
}

/// Only where there are any.
fn gpu_fields(models: &BTreeSet<&str>, form: &NewVcluster) -> Markup {
    if models.is_empty() {
        return html! {};
    }
    html! {
        fieldset {
            legend { "GPUs of each vnode" }
            div.row {
                div.field {
                    label for="gpus" { "GPUs" }
                    input #gpus name="gpus" type="number" min="0" max=(GpuWish::COUNT_MAX) value=(form.gpus) aria-describedby="gpus-hint";
                    p.hint #gpus-hint { "Each is the vnode's alone, also while it stands still." }
                }
                div.field {
                    label for="gpu-model" { "Kind" }
                    select #gpu-model name="gpu_model" {
                        option value="" { "Any" }
                        @for model in models {
                            option value=(model) selected[form.gpu_model == *model] { (model) }
                        }
                    }
                }
            }
        }
    }
}

fn image_choice(image: &ImageView, form: &NewVcluster, first: bool) -> Markup {
    let chosen = image.name == form.image || (first && form.image.is_empty());
    html! {
        label.choice {
            input type="radio" name="image" value=(image.name) checked[chosen] required;
            span {
                b { (image.name) }
                span.hint { (image.description) }
            }
        }
    }
}

pub(crate) async fn create(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<NewVcluster>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let proposed = match form.command(&asker) {
        Ok(command) => propose(&portal, &asker, command).await,
        Err(problem) => Err(problem),
    };
    match proposed {
        Ok(receipt) => Ok(see(&format!("/vclusters/{}", form.name), receipt.index)),
        Err(problem) => {
            let page = form_page(&asker, &form, Some(&problem));
            Ok((problem.status, page).into_response())
        }
    }
}
