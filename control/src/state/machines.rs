//! Masters and workers, and what lets them in.

use super::State;
use crate::id::{LogIndex, MasterId, SecretHash, WorkerId};
use crate::model::{JoinToken, Master, Program, Replacement, Worker, WorkerCertificate};

impl State {
    /// The master that a person means: by its name, or by its number. While one is being replaced by another of its
    /// name, the name means the one that comes.
    #[must_use]
    pub fn master_meant(&self, text: &str) -> Option<&Master> {
        let by_number = || self.masters.get(&text.parse::<MasterId>().ok()?);
        let named = self.masters.values().filter(|m| m.name.as_str() == text);
        named.max_by_key(|master| master.id).or_else(by_number)
    }

    /// A worker's name; its number if it is not there.
    #[must_use]
    pub fn worker_called(&self, id: WorkerId) -> String {
        let worker = self.workers.get(&id);
        worker.map_or_else(|| id.to_string(), |worker| worker.name.to_string())
    }

    /// What is known of a worker's certificates.
    #[must_use]
    pub fn certificate_of(&self, id: WorkerId) -> WorkerCertificate {
        let row = self.worker_certificates.get(&id).copied();
        row.unwrap_or_else(|| WorkerCertificate::none(id))
    }

    /// Whether the worker's certificate of this number is refused.
    #[must_use]
    pub fn is_revoked(&self, id: WorkerId, number: LogIndex) -> bool {
        number < self.certificate_of(id).since
    }

    /// The worker that may join again by this token.
    #[must_use]
    pub fn awaited_by(&self, token: SecretHash) -> Option<&Worker> {
        let mut rows = self.worker_certificates.values();
        let row = rows.find(|row| row.awaited == Some(token))?;
        self.workers.get(&row.worker)
    }

    pub(crate) fn put_worker_certificate(&mut self, row: WorkerCertificate) {
        self.worker_certificates.insert(row.worker, row);
    }

    pub(crate) fn remove_worker_certificate(&mut self, worker: &WorkerId) {
        self.worker_certificates.remove(worker);
    }

    pub(crate) fn put_master(&mut self, master: Master) {
        self.masters.insert(master.id, master);
    }

    pub(crate) fn remove_master(&mut self, id: &MasterId) {
        self.masters.remove(id);
    }

    pub(crate) fn put_program(&mut self, program: Program) {
        self.programs.insert(program.master, program);
    }

    pub(crate) fn remove_program(&mut self, master: &MasterId) {
        self.programs.remove(master);
    }

    pub(crate) fn put_replacement(&mut self, replacement: Replacement) {
        self.replacements.insert(replacement.old, replacement);
    }

    pub(crate) fn remove_replacement(&mut self, old: &MasterId) {
        self.replacements.remove(old);
    }

    pub(crate) fn put_join_token(&mut self, token: JoinToken) {
        self.join_tokens.insert(token.id, token);
    }

    pub(crate) fn remove_join_token(&mut self, id: &SecretHash) {
        self.join_tokens.remove(id);
    }

    pub(crate) fn put_worker(&mut self, worker: Worker) {
        self.workers.insert(worker.id, worker);
    }

    pub(crate) fn remove_worker(&mut self, id: &WorkerId) {
        self.workers.remove(id);
    }
}
