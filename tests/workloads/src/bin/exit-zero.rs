//! Ends at once with status 0: triggers `ExitedEarly` where a server was expected.
#![forbid(unsafe_code)]

fn main() {
    println!("nothing to do");
}
