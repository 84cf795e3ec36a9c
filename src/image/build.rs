//! From a recipe to a blob: each step is told before it begins.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use docklet_agent::archive::pack::{Packed, pack_dir};

use super::recipe::{Base, Pip, Recipe};
use super::root::{Reach, Root};
use super::{busybox, debian, start};
use crate::client::output::remark;

/// Where this machine keeps the certificates that it trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where they are in the new root while packages are fetched.
const AUTHORITIES_WITHIN: &str = "/run/docklet-build/ca.pem";
/// What the mirrors are reached by, if this machine says so.
const PASSED_ON: [&str; 7] = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_DEFAULT_TIMEOUT",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
];

/// Builds below `work`, and packs into `blob`. Files are all that differs; what is said of an image is its recipe's.
pub fn build(recipe: &Recipe, work: &Path, blob: &Path) -> anyhow::Result<Packed> {
    let path = work.join("rootfs");
    fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
    step("base", || match recipe.base {
        Base::Busybox => busybox::make(&path),
        Base::Debian => debian::make(&path, recipe.suite.as_deref(), &packages(recipe)),
    })?;
    let root = Root::open(&path)?;
    if let Some(pip) = &recipe.pip {
        step("Python packages", || install(&root, pip))?;
    }
    for file in &recipe.files {
        let mode = file.mode().context("modes were checked")?;
        root.write(
            &file.path,
            file.content.trim_start_matches('\n').as_bytes(),
            mode,
        )?;
    }
    if recipe.init.is_none() {
        root.write(start::PATH, start::script(recipe).as_bytes(), 0o755)?;
    }
    for argv in &recipe.commands {
        step(&argv.join(" "), || root.run(argv, Reach::Nothing, &[]))?;
    }
    if recipe.base == Base::Debian {
        debian::clean(&root)?;
    }
    root.settle_times()?;
    if path.join("usr/bin/python3").exists() {
        // After that: what is compiled remembers the time of its source, and what packages compiled another.
        step("compiling Python", || compile(&root, recipe, &path))?;
        root.settle_times()?;
    }
    step("packing", || {
        pack_dir(&path, blob, |_| {}).map_err(|unfit| anyhow::anyhow!(unfit.full_text()))
    })
}

fn packages(recipe: &Recipe) -> Vec<String> {
    let mut packages = recipe.packages.clone();
    if recipe.init.is_none() {
        packages.push("tini".to_owned());
    }
    packages
}

fn install(root: &Root, pip: &Pip) -> anyhow::Result<()> {
    let argv = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    root.run(
        &argv(&["python3", "-m", "venv", &pip.venv]),
        Reach::Nothing,
        &[],
    )?;
    let authorities = fs::read(AUTHORITIES).with_context(|| format!("read {AUTHORITIES}"))?;
    root.write(AUTHORITIES_WITHIN, &authorities, 0o644)?;
    for path in ["/etc/resolv.conf", "/etc/hosts"] {
        let text = fs::read(path).with_context(|| format!("read {path}"))?;
        root.write(path, &text, 0o644)?;
    }
    let own: Vec<(&str, String)> = PASSED_ON
        .into_iter()
        .filter_map(|name| Some((name, std::env::var(name).ok()?)))
        .collect();
    let mut environment: Vec<(&str, &str)> = own
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    environment.push(("PIP_CERT", AUTHORITIES_WITHIN));
    let program = format!("{}/bin/pip", pip.venv);
    let mut install = argv(&[
        &program,
        "install",
        "--quiet",
        "--no-input",
        "--no-cache-dir",
        "--no-compile",
        "--disable-pip-version-check",
        "--",
    ]);
    install.extend(pip.packages.iter().cloned());
    root.run(&install, Reach::Network, &environment)?;
    root.empty("/run")?;
    root.write("/etc/hosts", b"127.0.0.1\tlocalhost\n", 0o644)
}

/// So that the first start in each vnode need not.
fn compile(root: &Root, recipe: &Recipe, path: &Path) -> anyhow::Result<()> {
    let mut argv = ["python3", "-m", "compileall", "-q", "-f", "--"]
        .map(str::to_owned)
        .to_vec();
    for entry in fs::read_dir(path.join("usr/lib")).context("list /usr/lib")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("python3") {
            argv.push(format!("/usr/lib/{name}"));
        }
    }
    argv.sort_unstable_by_key(|argument| {
        argument.starts_with("/usr/lib/").then(|| argument.clone())
    });
    argv.extend(recipe.pip.iter().map(|pip| pip.venv.clone()));
    if let Err(error) = root.run(&argv, Reach::Nothing, &[]) {
        // Packages bring templates that are no programs yet.
        remark(&format!("Some files were not compiled: {error}"));
    }
    Ok(())
}

/// Tells a step, and how long it took.
fn step<T>(what: &str, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    remark(&format!("{what} …"));
    let begun = Instant::now();
    let done = act()?;
    remark(&format!("{what}: {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(done)
}
