// SPDX-License-Identifier: Apache-2.0

//! What to do about a part that was not entered, and about a run in a log that is not good.
//!
//! An error says what happened. What it means and what helps depends on where the part was heard: at a port there
//! are a cable, an operator and a ledger, and with a log there are none of them.

use crate::console::ConsoleError;
use crate::log::NoRun;
use crate::part::PartError;
use crate::port::{FollowError, TimeOut};
use crate::record::RecordError;

impl PartError {
    /// For an operator at a port, on one line: what happened, that nothing was entered, and what to do.
    #[must_use]
    pub fn at_port(&self) -> String {
        match at_port(self) {
            Some(advice) => format!("{self}. Nothing was entered in the ledger: {advice}."),
            None => self.to_string(),
        }
    }

    /// For a reader of a log, on one line: what happened, and what to do.
    #[must_use]
    pub fn in_log(&self) -> String {
        match in_log(self) {
            Some(advice) => format!("{self}. {advice}."),
            None => self.to_string(),
        }
    }
}

impl NoRun {
    /// For a reader of a log, on one line: what was found, and what to do.
    #[must_use]
    pub fn in_log(&self) -> String {
        let advice = match self {
            Self::Empty => "Record the console of a part",
            Self::Known(_) | Self::Binary => {
                "Verify the text that a terminal program has recorded, after it was uncompressed or saved as plain text"
            }
            Self::Strange(..) => {
                "If a program has put something else before each line, such as the time in a form that is not known \
                 here, record the console without it. Else record it from before the part is started"
            }
            Self::Nothing => {
                "Check that this is the log of a part's console, recorded at its speed from before the part is started"
            }
        };
        format!("{self}. {advice}.")
    }
}

/// What an operator at a port does; nothing where the error says it in its own words.
const fn at_port(error: &PartError) -> Option<&'static str> {
    Some(match error {
        PartError::Follow(error) => match error {
            FollowError::Console(error) => match error {
                ConsoleError::Noise | ConsoleError::Silent => {
                    "check that this is the part's console, its --baud and the image on the part, then start the \
                     part again"
                }
                ConsoleError::MissedStart(_) | ConsoleError::Restarted(_) => {
                    "start the part again and leave it alone until it is done, it will print its record again"
                }
                ConsoleError::Crashed(_) => {
                    "start the part again, it goes on where it stopped; if that does not help, set it aside"
                }
                ConsoleError::NoRecord => {
                    "program an image built with it and start the part again, it will print its record"
                }
                ConsoleError::Garbage(_)
                | ConsoleError::Interleaved(_)
                | ConsoleError::OutOfOrder { .. }
                | ConsoleError::TooLong(_)
                | ConsoleError::SecondRecord
                | ConsoleError::Cut(_) => CHECK_CABLE,
            },
            FollowError::TimeOut(TimeOut::Start(_)) => {
                "check the cable, the port and --baud, start the part again, or wait longer with --start-timeout"
            }
            FollowError::TimeOut(TimeOut::Line(_)) => {
                "start the part again, it will print its record again, or wait longer with --line-timeout"
            }
            FollowError::TimeOut(TimeOut::Run(_)) => {
                "start the part again, it will print its record again, or wait longer with --run-timeout"
            }
            FollowError::Lost(_) | FollowError::NotSent(_) => CHECK_CABLE,
            FollowError::Stopped => "start the part again, it will print its record again",
        },
        PartError::Record(error) => match error {
            RecordError::Nonce => "it was made at another time, start the part again",
            RecordError::Dummy => "do not ship the part",
            error if error.is_of_another_product() => {
                "set the part aside, it was prepared for another product or with another image, or correct \
                 --implementation-id"
            }
            _ => {
                "start the part again, it prints its record anew; if it happens again, set the part aside"
            }
        },
        PartError::OtherPart(_) => "start the part again, with no other program on its port",
        PartError::Modelled => "use --allow-modelled, and another ledger than that of the line",
        PartError::NoNonce => {
            "build it with CONFIG_PROVISIONING_RECORD_NONCE=y, or leave out --require-nonce"
        }
        PartError::OtherImage(_) => {
            "program the part with the image that the station was given, or give the station the image that is \
             programmed"
        }
        PartError::NoSerialNumber => "start the part again, it prints its record anew",
        PartError::NoHub(_) => {
            "set the part aside, and start it again when the hub is back, it will print its record again"
        }
        PartError::NoSeed(_) => "start the station again",
        PartError::Failed { .. }
        | PartError::Refused(..)
        | PartError::Elsewhere(_)
        | PartError::Step(_) => return None,
    })
}

/// What a reader of a log does; nothing where the error says it in its own words, or is none of a log.
const fn in_log(error: &PartError) -> Option<&'static str> {
    Some(match error {
        PartError::Follow(FollowError::Console(error)) => match error {
            ConsoleError::Noise | ConsoleError::Silent => {
                "Check that this is the log of a part's console"
            }
            ConsoleError::MissedStart(_) => {
                "Record the console from before the part is started; started again, it prints its record again"
            }
            ConsoleError::Garbage(_) | ConsoleError::Interleaved(_) => {
                "If a program has put something else before each line, such as the time in a form that is not known \
                 here, record the console without it. Else the log is damaged, or two consoles are in it: start the \
                 part again and record its console alone, it prints its record again"
            }
            ConsoleError::OutOfOrder { .. }
            | ConsoleError::TooLong(_)
            | ConsoleError::SecondRecord => {
                "The log is damaged, or two consoles are in it: start the part again and record its console alone, \
                 it prints its record again"
            }
            ConsoleError::Restarted(_) => {
                "If no good run of the part follows in the log, start it again and leave it alone until it is done, \
                 it prints its record again"
            }
            ConsoleError::Crashed(_) => {
                "Start the part again and record its console, it goes on where it stopped; if that does not help, \
                 set it aside"
            }
            ConsoleError::NoRecord => {
                "Program an image built with it and record the console again, the part prints its record then"
            }
            ConsoleError::Cut(_) => {
                "Record the console to the end of the run; started again, the part prints its record again"
            }
        },
        PartError::Record(error) => match error {
            RecordError::Nonce => {
                "It was made at another time or for somebody else, or --nonce is not what was sent in this run"
            }
            RecordError::Dummy => {
                "Do not ship the part; with --allow-dummy its record is checked like any other"
            }
            error if error.is_of_another_product() => {
                "The part was prepared for another product or with another image, or --implementation-id is not this \
                 product's"
            }
            _ => {
                "The log or the console was damaged, or the record is a forged one: start the part again and record \
                 its console, it prints its record anew; if it happens again, set the part aside"
            }
        },
        PartError::OtherPart(_) => {
            "Two consoles are in the log, or somebody has put it together: start the part again and record its \
             console alone"
        }
        PartError::Modelled => "With --allow-modelled its record is checked all the same",
        PartError::Failed { .. }
        | PartError::Follow(_)
        | PartError::NoNonce
        | PartError::NoSerialNumber
        | PartError::OtherImage(_)
        | PartError::Step(_)
        | PartError::Refused(..)
        | PartError::Elsewhere(_)
        | PartError::NoHub(_)
        | PartError::NoSeed(_) => return None,
    })
}

/// What helps where the console cannot be trusted.
const CHECK_CABLE: &str = "check the cable, close other programs on that port and start the part again, it will \
                           print its record again";
