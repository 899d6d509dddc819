//! Hooks as the device runs them (`DeviceHook` of `models/hooks.ts`), and the running sums that collect means.

use crate::codes::hook_ops;
use crate::error::{Error, Result, bad_request, zeros};
use crate::kernels::vector::{add, add_scaled, dot};
use crate::packed::PackedReader;
use crate::program::Site;

/// The hooks of a sequence, by site; in call order within a site.
pub struct HookSet {
    hooks: Vec<Hook>,
    pub n_projections: usize,
}

pub struct Hook {
    site: Site,
    only_last: bool,
    action: Action,
}

enum Action {
    /// p = <h, direction> below floor or above ceiling is moved to the bound.
    Clamp { direction: Vec<f32>, floor: f32, ceiling: f32 },
    /// h + delta
    Shift { delta: Vec<f32> },
    /// h - p direction + delta
    Remove { direction: Vec<f32>, delta: Option<Vec<f32>> },
    /// p goes to a row of the projections.
    Project { direction: Vec<f32>, output: usize },
}

/// Where a row stands in its entry, and where its projections go.
pub struct RowContext<'a> {
    pub token: usize,
    pub n_tokens: usize,
    /// Whether the row is the last position of the caller's forward call.
    pub is_last: bool,
    /// [n_projections, n_tokens]
    pub projections: &'a mut [f32],
}

impl HookSet {
    /// Packed: a count; then for each hook its op, site, positions (1 for last), has_delta, output, floor, ceiling,
    /// direction [d_model] unless it is a shift, delta [d_model] where it has one.
    pub fn read(packed: &mut PackedReader, d_model: usize) -> Result<Self> {
        let count = packed.size()?;
        let mut hooks = packed.list(count, |packed| Hook::read(packed, d_model))?;
        hooks.sort_by_key(|hook| hook.site);
        let outputs = hooks.iter().map(|hook| match hook.action {
            Action::Project { output, .. } => output + 1,
            _ => 0,
        });
        let n_projections = outputs.max().unwrap_or(0);
        if n_projections > hooks.len() {
            return bad_request("projections numbered from 0 without holes");
        }
        Ok(Self { hooks, n_projections })
    }

    pub fn sites(&self) -> impl Iterator<Item = Site> {
        self.hooks.iter().map(|hook| hook.site)
    }

    pub fn at(&self, site: Site) -> &[Hook] {
        let start = self.hooks.partition_point(|hook| hook.site < site);
        let end = self.hooks.partition_point(|hook| hook.site <= site);
        &self.hooks[start..end]
    }
}

impl Hook {
    fn read(packed: &mut PackedReader, d_model: usize) -> Result<Self> {
        let (op, site) = (packed.u32()?, packed.u32()?);
        let (only_last, has_delta) = (packed.u32()? == 1, packed.u32()? == 1);
        let output = packed.size()?;
        let (floor, ceiling) = (packed.f32()?, packed.f32()?);
        let mut vector = || packed.f32s(d_model);
        let action = match op {
            hook_ops::CLAMP => Action::Clamp { direction: vector()?, floor, ceiling },
            hook_ops::SHIFT => Action::Shift { delta: vector()? },
            hook_ops::REMOVE => {
                Action::Remove { direction: vector()?, delta: if has_delta { Some(vector()?) } else { None } }
            }
            hook_ops::PROJECT => Action::Project { direction: vector()?, output },
            _ => return bad_request(format!("a hook that this device knows, found op {op}")),
        };
        Ok(Self { site, only_last, action })
    }

    /// Acts on one row of the residual stream, or reads one row of any site.
    pub fn apply(&self, row: &mut [f32], context: &mut RowContext) {
        if self.only_last && !context.is_last {
            return;
        }
        match &self.action {
            Action::Clamp { direction, floor, ceiling } => {
                let p = dot(row, direction);
                let bound = p.max(*floor).min(*ceiling);
                if p < *floor || p > *ceiling {
                    add_scaled(row, bound - p, direction);
                }
            }
            Action::Shift { delta } => add(row, delta),
            Action::Remove { direction, delta } => {
                add_scaled(row, -dot(row, direction), direction);
                if let Some(delta) = delta {
                    add(row, delta);
                }
            }
            Action::Project { direction, output } => {
                context.projections[output * context.n_tokens + context.token] = dot(row, direction);
            }
        }
    }
}

/// A running sum of h at some sites over all tokens it is shown.
pub struct Accumulator {
    sites: Vec<Site>,
    /// [n_sites, d_model]
    sums: Vec<f64>,
    pub count: u64,
}

impl Accumulator {
    pub fn new(sites: Vec<Site>, d_model: usize) -> Result<Self> {
        let sums = zeros(sites.len() * d_model)?;
        Ok(Self { sites, sums, count: 0 })
    }

    pub fn contains(&self, site: Site) -> bool {
        self.sites.contains(&site)
    }

    pub fn add(&mut self, site: Site, row: &[f32]) {
        for (index, _) in self.sites.iter().enumerate().filter(|&(_, &watched)| watched == site) {
            for (sum, value) in self.sums[index * row.len()..].iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
    }

    /// [n_sites, d_model]; zeros before the first token.
    pub fn mean(&self) -> Result<Vec<f32>> {
        let mut mean = Vec::new();
        mean.try_reserve_exact(self.sums.len())
            .map_err(|_| Error::OutOfMemory { bytes: 4 * self.sums.len() })?;
        let count = self.count.max(1) as f64;
        mean.extend(self.sums.iter().map(|sum| (sum / count) as f32));
        Ok(mean)
    }
}
