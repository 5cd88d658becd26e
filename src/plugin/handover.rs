//! What an output hands over to the one that is made after it has failed.

use std::any::Any;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// A place for one value of any kind; what stands there as another kind counts as nothing.
#[derive(Clone, Debug, Default)]
pub struct Handover(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl Handover {
    /// Leaves a value, in place of what is there.
    pub fn give<T: Any + Send>(&self, value: T) {
        *self.lock() = Some(Box::new(value));
    }

    /// Takes what was left.
    #[must_use]
    pub fn take<T: Any + Send>(&self) -> Option<T> {
        let given = self.lock().take()?;
        given.downcast().ok().map(|value| *value)
    }

    /// Changes what was left, or what nothing left means, and leaves it there.
    pub fn with<T: Any + Send + Default, R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut given = self.lock();
        let kept = given.get_or_insert_with(|| Box::new(T::default()));
        match kept.downcast_mut() {
            Some(value) => change(value),
            None => change(&mut T::default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_taken_once() {
        let (one, other) = (Handover::default(), Handover::default());
        let next = one.clone();
        one.give(7_u32);
        assert_eq!(
            (next.take::<u32>(), next.take::<u32>(), other.take::<u32>()),
            (Some(7), None, None)
        );
        one.with(|value: &mut u32| *value += 1);
        assert_eq!(next.with(|value: &mut u32| *value), 1);
        assert_eq!(next.with(|text: &mut String| text.clone()), "");
        assert_eq!(next.take::<u32>(), Some(1));
    }
}
