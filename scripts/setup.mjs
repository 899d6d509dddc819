import { build, buildTypes, install } from "./steps.mjs";

install();
build();
buildTypes();
