//! The questions of one container: asked once, whoever wants to know, and bounded.

use crate::{
    case::Known,
    question::{Answer, Question, QuestionId},
};

/// What a question was asked for.
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
    answer: Option<Answer>,
    wanted_by: Vec<SuspectId>,
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
    /// Wants to know something; asks at most `limit` different questions.
    pub(crate) fn want(&mut self, question: Question, wanted_by: SuspectId, limit: usize) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.question == question) {
            if !asked.wanted_by.contains(&wanted_by) {
                asked.wanted_by.push(wanted_by);
            }
        } else if self.asked.len() < limit {
            self.asked.push(Asked { question, id: None, answer: None, wanted_by: vec![wanted_by] });
        } else if self.turned_away.len() < limit && !self.turned_away.contains(&question) {
            self.turned_away.push(question);
            self.refused += 1;
        }
    }

    /// Wants to know something for the container's own sake.
    pub(crate) fn want_alone(&mut self, question: Question, limit: usize) {
        if self.asked.len() < limit {
            self.asked.push(Asked { question, id: None, answer: None, wanted_by: Vec::new() });
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

    /// Its answer.
    pub(crate) fn answered(&mut self, id: QuestionId, answer: Answer) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.id == Some(id)) {
            asked.answer = Some(answer);
        }
    }

    /// All answers so far.
    pub(crate) fn answers_mut(&mut self) -> impl Iterator<Item = &mut Answer> {
        self.asked.iter_mut().filter_map(|asked| asked.answer.as_mut())
    }

    /// What is known for a suspect.
    pub(crate) fn answers(&self, wanted_by: SuspectId) -> Vec<Known<'_>> {
        let asked = self.asked.iter().filter(|asked| asked.wanted_by.contains(&wanted_by));
        asked.filter_map(|asked| Some((&asked.question, asked.answer.as_ref()?))).collect()
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
        let gone = |asked: &&Asked| asked.wanted_by.contains(&wanted_by) && matches!(asked.answer, Some(Answer::Gone { .. }));
        u32::try_from(self.asked.iter().filter(gone).count()).unwrap_or(u32::MAX)
    }

    pub(crate) fn len(&self) -> usize {
        self.asked.len() + self.turned_away.len()
    }
}

const fn is_patient(question: &Question) -> bool {
    matches!(question, Question::AwaitPath { .. })
}
