package main

import (
	"reflect"
	"testing"

	"github.com/spf13/pflag"

	"kcatch/harness"
	"kcatch/harness/config"
	"kcatch/harness/verdict"
)

// TestDefaultsAreThoseOfTheCommandLine: who calls harness.Boot gets what "kcatch boot" does.
func TestDefaultsAreThoseOfTheCommandLine(t *testing.T) {
	flags := pflag.NewFlagSet("boot", pflag.ContinueOnError)
	config.BindBootFlags(flags)
	cfg, _, err := config.ResolveBoot(flags, func(string) (string, bool) { return "", false }, nil, verdict.ClassNames())
	if err != nil {
		t.Fatal(err)
	}
	plan := planFor(cfg)
	if plan.Build == nil || plan.Build.Tree != "debian-6.1" {
		t.Errorf("build %+v", plan.Build)
	}
	plan.Build = nil
	if want := harness.Defaults(); !reflect.DeepEqual(plan, want) {
		t.Errorf("kcatch boot: %+v\nDefaults:    %+v", plan, want)
	}
}
