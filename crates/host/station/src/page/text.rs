// SPDX-License-Identifier: Apache-2.0

//! What comes from a part, a scanner or a program, on a page: text, whatever is in it.
//!
//! The template escapes markup. What controls a terminal or is hidden is written out, and `<bdi>` keeps a text that
//! runs from right to left from turning around what stands beside it.

use maud::{Markup, html};

use crate::escaped;

/// A text on one line.
pub fn text(text: &str) -> Markup {
    html! { bdi { (escaped::line(text)) } }
}

/// What a console has shown, in lines.
pub fn console(bytes: &[u8]) -> Markup {
    html! {
        pre tabindex="0" dir="ltr" {
            @for line in escaped::console(bytes).lines() { bdi { (line) } "\n" }
        }
    }
}
