//! Verdicts about published networks, against sampling.
