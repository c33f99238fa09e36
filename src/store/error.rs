//! Why the store cannot be opened or written.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own error.
    #[error("{}: {error}", file.display())]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// SQLite's error.
        error: rusqlite::Error,
    },
    /// The file was written by a newer version.
    #[error(
        "{}: written by a newer version of Lamplighter (format {found}; this one knows {known}): \
         install that version again, or move the file away and start without it",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: i32,
        /// The newest version that this program knows.
        known: i32,
    },
    /// The file is an SQLite database of another program.
    #[error("{}: an SQLite file of another program: choose another directory", .0.display())]
    Foreign(PathBuf),
    /// The file was there when the server started, and is not there any more.
    #[error(
        "{}: gone: mount its disk or bring the file back, or restart the server to begin without it",
        .0.display()
    )]
    Gone(PathBuf),
    /// Another process uses the directory.
    #[error("{}: in use by another process ({holder}): one server per directory", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The process id that the lock file names.
        holder: String,
    },
    /// The directory of a restore has files in it.
    #[error("{}: not empty: a backup is restored into an empty directory", .0.display())]
    NotEmpty(PathBuf),
    /// The file of a backup exists.
    #[error("{}: exists: a backup overwrites no file", .0.display())]
    Exists(PathBuf),
    /// The backup is damaged.
    #[error("{}: damaged: {}", .0.display(), .1)]
    Damaged(PathBuf, String),
    /// What was read of a damaged history is not all copied yet.
    #[error("{}: a damaged file is still being read: try again later", .0.display())]
    Salvaging(PathBuf),
    /// Another program reads the file all the time.
    #[error("{}: another program is reading it: try again", .0.display())]
    Busy(PathBuf),
    /// The store was closed during a backup.
    #[error("the server is stopping")]
    Closed,
    /// The directory cannot be used.
    #[error("{}: {error}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl StoreError {
    /// Whether the file is damaged, or is not a database at all.
    pub(super) fn is_damage(&self) -> bool {
        let Self::Sqlite { error, .. } = self else {
            return false;
        };
        let code = error.sqlite_error_code();
        matches!(
            code,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }

    /// Whether the disk refused to take more because it is full. What it took before, it has. A disk that
    /// turns out to be full when what it took is synchronized is not meant: that loses pages.
    pub(super) fn is_full(&self) -> bool {
        let Self::Sqlite { error, .. } = self else {
            return false;
        };
        error.sqlite_error_code() == Some(ErrorCode::DiskFull)
    }

    /// Whether another connection reads or locks the file.
    pub(super) fn is_busy(&self) -> bool {
        let Self::Sqlite { error, .. } = self else {
            return false;
        };
        error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
    }

    pub(super) fn of(file: &Path) -> impl Fn(rusqlite::Error) -> Self + use<> {
        let file = file.to_path_buf();
        move |error| Self::Sqlite {
            file: file.clone(),
            error,
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |error| Self::Io {
            path: path.clone(),
            error,
        }
    }
}
