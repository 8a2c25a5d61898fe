# Run by CPack on what is installed into the packages: adds what Debian asks of every package, the copyright
# and a changelog, compresses what Debian wants compressed, and takes away the path to libraries beside the
# programs, which are the system's own here.
set(packages_of_programs hardmoe)
set(packages_of_development libhardmoe-dev)

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # SOURCE_DATE_EPOCH, where that is set
foreach(component programs development)
  set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr)
  set(package ${packages_of_${component}})
  set(documents ${root}/share/doc/${package})
  configure_file(${CPACK_HARDMOE_COPYRIGHT} ${documents}/copyright COPYONLY)
  file(WRITE ${documents}/changelog "hardmoe (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * What has changed is in CHANGELOG.md of the package hardmoe.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
  file(GLOB programs ${root}/bin/* ${root}/lib/hardmoe/modules/*.so)
  foreach(file ${programs})
    file(RPATH_REMOVE FILE ${file})
  endforeach()
  if(EXISTS ${root}/share/zsh/site-functions)  # Debian's zsh looks there for what packages bring
    file(RENAME ${root}/share/zsh/site-functions ${root}/share/zsh/vendor-completions)
  endif()
  file(GLOB manuals ${root}/share/man/man*/*.[1-9])
  foreach(file ${documents}/changelog ${manuals})
    execute_process(COMMAND gzip -n -9 ${file} COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
endforeach()
