//! A small disk that fails on demand: a tmpfs, or ext4 on a loop device whose image is in a tmpfs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Room for the image of an ext4, and for what fills it up.
const BACKING_SIZE: &str = "32m";

/// See the head of this file. It is mounted as the directory `state` of a folder.
pub(crate) struct Disk {
    mount: PathBuf,
    /// The tmpfs that the image of an ext4 is in.
    backing: Option<PathBuf>,
}

impl Disk {
    /// A disk of 32 MiB that can be full.
    pub(crate) fn tmpfs(folder: &Path) -> Self {
        let mount = make_directory(folder.join("state"));
        mount_tmpfs(&mount, "32m");
        let backing = None;
        Self { mount, backing }
    }

    /// A disk of 24 MiB that can not answer, and turn read-only.
    pub(crate) fn ext4(folder: &Path) -> Self {
        Self::device(folder, &["-q", "-e", "remount-ro"])
    }

    /// A disk of 24 MiB that can have I/O errors, and goes on with them: it has no journal, whose
    /// errors would make it read-only.
    pub(crate) fn ext4_without_journal(folder: &Path) -> Self {
        Self::device(folder, &["-q", "-e", "continue", "-O", "^has_journal"])
    }

    fn device(folder: &Path, options: &[&str]) -> Self {
        let mount = make_directory(folder.join("state"));
        let backing = make_directory(folder.join("backing"));
        mount_tmpfs(&backing, BACKING_SIZE);
        let image = backing.join("image");
        let file = fs::File::create(&image).unwrap();
        file.set_len(24 << 20).unwrap();
        let image = image.to_str().unwrap();
        run("mkfs.ext4", &[options, &[image]].concat());
        let disk = Self {
            mount,
            backing: Some(backing),
        };
        disk.mount();
        disk
    }

    fn mount(&self) {
        let image = self.image();
        let mount = self.mount.to_str().unwrap();
        run("mount", &["-o", "loop", image.to_str().unwrap(), mount]);
    }

    fn image(&self) -> PathBuf {
        self.backing.as_ref().unwrap().join("image")
    }

    /// Whether it is on a device of its own.
    pub(crate) const fn is_device(&self) -> bool {
        self.backing.is_some()
    }

    /// Takes all room that is left: on the disk itself, or for the image behind it; then writes to new
    /// places fail with an I/O error.
    pub(crate) fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).unwrap();
        for octets in [65_536, 4096] {
            while ballast.write_all(&vec![1; octets]).is_ok() {}
        }
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.backing.as_ref().unwrap_or(&self.mount).join("ballast")
    }

    /// From now on whatever writes to the disk waits.
    pub(crate) fn freeze(&self) {
        run("fsfreeze", &["-f", self.mount.to_str().unwrap()]);
    }

    /// The disk goes on.
    pub(crate) fn thaw(&self) {
        run("fsfreeze", &["-u", self.mount.to_str().unwrap()]);
    }

    /// The kernel finds an error of the file system, and makes it read-only.
    pub(crate) fn break_down(&self) {
        let mut device = Command::new("findmnt");
        device.args(["-no", "SOURCE"]).arg(&self.mount);
        let device = device_name(device.output().unwrap().stdout);
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        let mut trigger = OpenOptions::new().write(true).open(trigger).unwrap();
        trigger.write_all(b"a test").unwrap();
    }

    /// Takes the disk out, even if files of it are open, and puts a repaired copy of it in.
    pub(crate) fn repair(&self) {
        self.repair_for(Duration::ZERO);
    }

    /// The same; meanwhile the directory is an empty one of another disk, for that time at least.
    pub(crate) fn repair_slowly(&self) {
        self.repair_for(Duration::from_secs(3));
    }

    /// The copy is in a tmpfs of its own, because the first image keeps its room while a file is open.
    fn repair_for(&self, time: Duration) {
        let backing = self.backing.as_ref().unwrap();
        let (image, copy) = (self.image(), self.mount.with_extension("copy"));
        run("umount", &["-l", self.mount.to_str().unwrap()]);
        thread::sleep(time);
        copy_sparse(&image, &copy);
        run("umount", &["-l", backing.to_str().unwrap()]);
        mount_tmpfs(backing, BACKING_SIZE);
        copy_sparse(&copy, &image);
        fs::remove_file(&copy).unwrap();
        let mut check = Command::new("e2fsck");
        check.arg("-fy").arg(&image).stdout(Stdio::null());
        // Its exit status tells of what it repaired.
        assert!(check.status().unwrap().code().unwrap() < 4);
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let quietly = |program: &str, argument: &str, path: &Path| {
            let mut command = Command::new(program);
            command.arg(argument).arg(path).stderr(Stdio::null());
            let _done_already = command.status();
        };
        quietly("fsfreeze", "-u", &self.mount);
        quietly("umount", "-l", &self.mount);
        if let Some(backing) = &self.backing {
            quietly("umount", "-l", backing);
        }
    }
}

fn device_name(path: Vec<u8>) -> String {
    let path = String::from_utf8(path).unwrap();
    path.trim().rsplit('/').next().unwrap().to_owned()
}

fn make_directory(path: PathBuf) -> PathBuf {
    let user = Command::new("id").arg("-u").output().unwrap();
    let is_root = user.stdout == b"0\n";
    assert!(is_root, "this test mounts small disks: run it as root");
    fs::create_dir_all(&path).unwrap();
    path
}

fn mount_tmpfs(at: &Path, size: &str) {
    let size = format!("size={size}");
    let at = at.to_str().unwrap();
    run("mount", &["-t", "tmpfs", "-o", &size, "none", at]);
}

fn copy_sparse(from: &Path, to: &Path) {
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    run("cp", &["--sparse=always", from, to]);
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}
