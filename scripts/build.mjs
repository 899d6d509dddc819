import { build, buildTypes } from "./steps.mjs";

build();
buildTypes();
