package changes

import "reflect"

// Without removes an effect, which is the name of a field of Effects, from an action until
// restore is called, so that a test can show that the effect is needed. No other test
// may run at the same time.
func Without(a Action, effect string) (restore func()) {
	all := a.effects.Load()
	fewer := *all
	reflect.ValueOf(&fewer).Elem().FieldByName(effect).SetBool(false)
	a.effects.Store(&fewer)
	return func() { a.effects.Store(all) }
}
