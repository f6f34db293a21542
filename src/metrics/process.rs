//! What the operating system says about this process, read from `/proc/self` at each scrape.
//!
//! Owns the reading. What cannot be read (another system, a locked-down `/proc`) is left out, never guessed.

use std::fs;

/// A kernel tick as user space sees it (`USER_HZ`): 100 a second on every architecture of Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// The figures; `None`: not to be had.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub(super) start_time: Option<f64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) open_fds: Option<f64>,
    pub(super) max_fds: Option<f64>,
}

impl Process {
    /// Reads all of them.
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let machine = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            start_time: start_time(&stat, &machine),
            cpu_seconds: cpu_seconds(&stat),
            resident_bytes: resident_bytes(&status),
            open_fds: open_fds(),
            max_fds: max_fds(&limits),
        }
    }
}

/// A field of `/proc/self/stat`, numbered from 1 as in proc(5). The name of the program, which is the second and may
/// hold anything, ends with the last bracket.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_A_SECOND)
}

fn start_time(stat: &str, machine: &str) -> Option<f64> {
    let boot: f64 = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + field(stat, 22)? / TICKS_A_SECOND)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn open_fds() -> Option<f64> {
    // one of them is the folder that is being read here
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(open).ok().map(f64::from)
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a ) b) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 12345 1000 200";

    #[test]
    fn the_figures_are_found_behind_any_program_name() {
        assert_eq!(cpu_seconds(STAT), Some(2.0));
        assert_eq!(start_time(STAT, "cpu 1 2\nbtime 1000\n"), Some(1123.45));
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    8 kB\n"), Some(8192.0));
        assert_eq!(max_fds("Max open files            1024                 4096                 files"), Some(1024.0));
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(start_time(STAT, ""), None);
        assert_eq!(resident_bytes("VmRSS: lots"), None);
        assert_eq!(max_fds("Max open files            unlimited"), None);
    }
}
