// SPDX-License-Identifier: Apache-2.0

//! The line as HTML, piece by piece: what has changed is written once, for all browsers.

use std::sync::{Arc, Mutex};

use super::line::Line;
use super::{lock, operator};

/// The pieces of the page that change, each as it was last written.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The line's version.
    pub version: u64,
    /// The batch is over.
    pub ended: bool,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    /// The version of the line in which it changed.
    version: u64,
    html: Arc<str>,
}

impl Frame {
    /// The line as it is now. What has not changed since `self` is not written again.
    pub fn next(&self, line: &Mutex<Line>) -> Self {
        // Nobody waits while the page is written: the lock is held for a copy of pointers.
        let line = lock(line).clone();
        let of_line = [operator::counts(&line), operator::wanted(&line)].map(|html| html.0);
        let mut pieces: Vec<_> = of_line
            .into_iter()
            .enumerate()
            .map(|(number, html)| match self.pieces.get(number) {
                Some(piece) if *piece.html == html => piece.clone(),
                _ => Piece { version: line.version, html: html.into() },
            })
            .collect();
        let first = pieces.len();
        pieces.extend(line.ports.iter().enumerate().map(|(number, port)| {
            match self.pieces.get(first + number) {
                Some(piece) if piece.version == port.version => piece.clone(),
                _ => Piece { version: port.version, html: operator::port(number, port).0.into() },
            }
        }));
        Self { version: line.version, ended: line.ended, pieces }
    }

    /// Whether nothing was written yet.
    pub const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The pieces that have changed behind this version of the line. `None`: all.
    pub fn since(&self, version: Option<u64>) -> String {
        self.pieces
            .iter()
            .filter(|piece| version.is_none_or(|version| piece.version > version))
            .map(|piece| &*piece.html)
            .collect()
    }
}
