# Read by CPack before anything else: which builds make no Debian package.
if(CPACK_HARDMOE_HAS_CUDA)
  message(FATAL_ERROR "This build has the GPU engine, whose libraries are not Debian's: the package is of the "
    "CPU programs. Configure a build folder with -DHARDMOE_CUDA=OFF for it, or carry the programs of this "
    "build with tools/bundle.sh.")
endif()
if(CPACK_HARDMOE_SANITIZE)
  message(FATAL_ERROR "This build has sanitizers (HARDMOE_SANITIZE=${CPACK_HARDMOE_SANITIZE}), which make its "
    "programs slow. Configure a build folder without them for a package.")
endif()
