//! Engines that stand in for others in tests pass most calls on to the one inside.

/// Methods of [`mdrun::engine::Engine`] that are those of a field: `pass_on!(inner: save rollback);`.
macro_rules! pass_on {
    ($field:tt: $($name:ident)+) => { $($crate::support::double::pass_on!(@ $field $name);)+ };
    (@ $field:tt run) => {
        fn run(
            &mut self,
            program: &::mdrun::dynamics::Program,
            steps: ::std::ops::Range<u64>,
        ) -> ::mdrun::Result<::mdrun::engine::Outcome> {
            self.$field.run(program, steps)
        }
    };
    (@ $field:tt save) => {
        fn save(&mut self) -> ::mdrun::Result<()> {
            self.$field.save()
        }
    };
    (@ $field:tt rollback) => {
        fn rollback(&mut self) -> ::mdrun::Result<()> {
            self.$field.rollback()
        }
    };
    (@ $field:tt rebuild) => {
        fn rebuild(&mut self) -> ::mdrun::Result<()> {
            self.$field.rebuild()
        }
    };
    (@ $field:tt restore) => {
        fn restore(&mut self, state: &::mdrun::core::Snapshot) -> ::mdrun::Result<()> {
            self.$field.restore(state)
        }
    };
    (@ $field:tt listed) => {
        fn listed(&mut self, receivers: &[usize]) -> ::mdrun::Result<::mdrun::neighbors::Listed> {
            self.$field.listed(receivers)
        }
    };
    (@ $field:tt watch) => {
        fn watch(&mut self, limits: ::mdrun::engine::Limits) {
            self.$field.watch(limits);
        }
    };
    (@ $field:tt snapshot) => {
        fn snapshot(&mut self, want: ::mdrun::core::Fields) -> ::mdrun::Result<::mdrun::core::Snapshot> {
            self.$field.snapshot(want)
        }
    };
    (@ $field:tt request) => {
        fn request(&mut self, want: ::mdrun::core::Fields) -> ::mdrun::Result<Box<dyn ::mdrun::engine::Pending>> {
            self.$field.request(want)
        }
    };
    (@ $field:tt statistics) => {
        fn statistics(&self) -> ::mdrun::engine::Statistics {
            self.$field.statistics()
        }
    };
    (@ $field:tt about) => {
        fn about(&self) -> ::mdrun::potential::About {
            self.$field.about()
        }
    };
}
pub(crate) use pass_on;
