//! The questions of one start: asked once, whoever wants to know, and bounded. What changes by itself has a freshness
//! ([`Question::fresh_for`]): a judgement asks it anew when the answer is older, and knows the answer before too.

use crate::{
    case::Known,
    question::{Answer, Question, QuestionId},
    units::BootNanos,
};

/// Which suspect of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SuspectId {
    /// The failure with this index.
    Call(usize),
    /// Memory ran out.
    OutOfMemory,
    /// The command was never executed.
    NeverStarted,
    /// The main process ended.
    Exit,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    id: Option<QuestionId>,
    answer: Option<(BootNanos, Answer)>,
    /// The answer before, of a question that was asked anew.
    before: Option<Answer>,
    wanted_by: Vec<SuspectId>,
}

impl Asked {
    const fn new(question: Question, wanted_by: Vec<SuspectId>) -> Self {
        Self { question, id: None, answer: None, before: None, wanted_by }
    }

    /// Its answer may no longer be so. What is gone stays gone.
    fn is_stale(&self, now: BootNanos) -> bool {
        let told = self.answer.as_ref().filter(|(_, answer)| !matches!(answer, Answer::Gone { .. }));
        told.zip(self.question.fresh_for()).is_some_and(|((at, _), fresh_for)| now.since(*at) > fresh_for)
    }

    fn ask_anew(&mut self) {
        self.before = self.answer.take().map(|(_, answer)| answer);
        self.id = None;
    }
}

/// All questions of a container.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: Vec<Asked>,
    /// Questions refused because the container had asked enough.
    pub(crate) refused: u32,
    /// Those, so that each counts once.
    turned_away: Vec<Question>,
}

impl Questions {
    /// Wants to know something; asks at most `limit` different questions. With `now`, the answer must be fresh.
    pub(crate) fn want(&mut self, question: Question, wanted_by: SuspectId, limit: usize, now: Option<BootNanos>) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.question == question) {
            if !asked.wanted_by.contains(&wanted_by) {
                asked.wanted_by.push(wanted_by);
            }
            if now.is_some_and(|now| asked.is_stale(now)) {
                asked.ask_anew();
            }
        } else if self.asked.len() < limit {
            self.asked.push(Asked::new(question, vec![wanted_by]));
        } else if self.turned_away.len() < limit && !self.turned_away.contains(&question) {
            self.turned_away.push(question);
            self.refused += 1;
        }
    }

    /// Wants to know something for the container's own sake.
    pub(crate) fn want_alone(&mut self, question: Question, limit: usize) {
        if self.asked.len() < limit {
            self.asked.push(Asked::new(question, Vec::new()));
        }
    }

    /// The questions that have no id yet.
    pub(crate) fn take_new(&self) -> Vec<Question> {
        self.asked.iter().filter(|asked| asked.id.is_none()).map(|asked| asked.question.clone()).collect()
    }

    /// A question went out under this id.
    pub(crate) fn sent(&mut self, id: QuestionId, question: &Question) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.question == *question) {
            asked.id = Some(id);
        }
    }

    pub(crate) fn answered(&mut self, id: QuestionId, answer: Answer, now: BootNanos) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.id == Some(id)) {
            asked.answer = Some((now, answer));
        }
    }

    /// All answers so far.
    pub(crate) fn answers_mut(&mut self) -> impl Iterator<Item = &mut Answer> {
        self.asked.iter_mut().flat_map(|asked| asked.before.iter_mut().chain(asked.answer.as_mut().map(|(_, answer)| answer)))
    }

    /// What is known for a suspect, the newest of each question first.
    pub(crate) fn answers(&self, wanted_by: SuspectId) -> Vec<Known<'_>> {
        let asked = self.asked.iter().filter(|asked| asked.wanted_by.contains(&wanted_by));
        asked
            .flat_map(|asked| {
                let newest = asked.answer.as_ref().map(|(_, answer)| answer);
                newest.into_iter().chain(&asked.before).map(|answer| (&asked.question, answer))
            })
            .collect()
    }

    /// Whether a judgement should wait: something about this suspect is open that is answered at once (waiting for a
    /// file to appear is not: that answer comes when it comes).
    pub(crate) fn is_open(&self, wanted_by: SuspectId) -> bool {
        self.asked.iter().any(|asked| asked.answer.is_none() && asked.wanted_by.contains(&wanted_by) && !is_patient(&asked.question))
    }

    /// Whether any answer at all is still to come.
    pub(crate) fn any_open(&self) -> bool {
        self.asked.iter().any(|asked| asked.answer.is_none())
    }

    /// How many of a suspect's questions could not be answered.
    pub(crate) fn unanswered(&self, wanted_by: SuspectId) -> u32 {
        let gone = |asked: &&Asked| {
            asked.wanted_by.contains(&wanted_by) && asked.before.is_none() && matches!(asked.answer, Some((_, Answer::Gone { .. })))
        };
        u32::try_from(self.asked.iter().filter(gone).count()).unwrap_or(u32::MAX)
    }

    /// The files that were waited for, with since when and until when.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = (&str, Option<BootNanos>)> {
        self.asked.iter().filter_map(|asked| match (&asked.question, &asked.answer) {
            (Question::AwaitPath { path, .. }, Some((_, Answer::Appeared { at }))) => Some((path.as_str(), *at)),
            _ => None,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.asked.len() + self.turned_away.len()
    }
}

const fn is_patient(question: &Question) -> bool {
    matches!(question, Question::AwaitPath { .. })
}
